// neteq RATE MASK < IN.pcm > OUT.pcm: WebRTC's NetEq conceals the packets where MASK has a 1.
//
// 16-bit mono, 20 ms packets as L16, each arriving at its own time: nothing but loss, in simulated time. NetEq adds
// sound after a loss and takes it away again, so the output isn't aligned with the input. Debian's libtgowt-dev;
// `concealment.py` has the command that builds it.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "api/audio/audio_frame.h"
#include "api/audio_codecs/L16/audio_decoder_L16.h"
#include "api/audio_codecs/audio_decoder_factory_template.h"
#include "api/neteq/neteq.h"
#include "modules/audio_coding/neteq/default_neteq_factory.h"
#include "system_wrappers/include/clock.h"

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const int rate = std::atoi(argv[1]);
  const char* mask = argv[2];
  const size_t packets = std::strlen(mask), step = rate / 50;
  webrtc::SimulatedClock clock(1000000);
  webrtc::NetEq::Config config;  // what a browser's receive stream sets
  config.sample_rate_hz = 48000;
  config.max_packets_in_buffer = 200;
  config.enable_muted_state = true;
  config.enable_post_decode_vad = true;
  auto neteq = webrtc::DefaultNetEqFactory().CreateNetEq(
      config, webrtc::CreateAudioDecoderFactory<webrtc::AudioDecoderL16>(), &clock);
  if (!neteq->RegisterPayloadType(96, webrtc::SdpAudioFormat("L16", rate, 1))) return 3;
  for (size_t i = 0; i < packets; ++i) {
    std::vector<int16_t> pcm(step);
    if (std::fread(pcm.data(), 2, step, stdin) != step) break;
    std::vector<uint8_t> payload;
    for (int16_t v : pcm) payload.insert(payload.end(), {uint8_t(v >> 8), uint8_t(v)});
    if (mask[i] == '0') {
      webrtc::RTPHeader header;
      header.sequenceNumber = uint16_t(i);
      header.timestamp = uint32_t(i * step);
      header.payloadType = 96;
      header.ssrc = 1;
      if (neteq->InsertPacket(header, payload) != 0) return 4;
    }
    for (int half = 0; half < 2; ++half) {
      clock.AdvanceTimeMicroseconds(half == 0 ? 5000 : 10000);
      webrtc::AudioFrame frame;
      bool muted = false;
      if (neteq->GetAudio(&frame, &muted) != webrtc::NetEq::kOK) return 5;
      std::vector<int16_t> out(rate / 100, 0);
      if (!muted && frame.samples_per_channel_ == out.size()) std::memcpy(out.data(), frame.data(), 2 * out.size());
      std::fwrite(out.data(), 2, out.size(), stdout);
    }
    clock.AdvanceTimeMicroseconds(5000);
  }
}

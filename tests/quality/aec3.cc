// aec3 FAR MIC OUT [LINEAR]: WebRTC's own AEC3 (Debian's libtgowt-dev, 2023), on raw 16-bit mono files of 16 kHz.
//
// AudioProcessing with the echo canceller and its high-pass filter; no noise suppression, no gain control. LINEAR is the
// output of its filter alone. Each 10 ms the far end goes in first, then the microphone. Prints the mean time of a 10 ms
// block in nanoseconds, far end and microphone together. `echo.py` has the command that builds it.
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <memory>
#include <vector>

#include "api/audio/echo_canceller3_config.h"
#include "api/audio/echo_canceller3_factory.h"
#include "modules/audio_processing/include/audio_processing.h"
#include "rtc_base/logging.h"

namespace {
constexpr int kRate = 16000;
constexpr size_t kBlock = kRate / 100;

std::vector<int16_t> Read(const char* path) {
  std::ifstream f(path, std::ios::binary | std::ios::ate);
  if (!f) {
    std::perror(path);
    return {};
  }
  std::vector<int16_t> x(static_cast<size_t>(f.tellg()) / 2);
  f.seekg(0);
  f.read(reinterpret_cast<char*>(x.data()), 2 * x.size());
  return x;
}

bool Write(const char* path, const std::vector<int16_t>& x) {
  std::ofstream f(path, std::ios::binary);
  f.write(reinterpret_cast<const char*>(x.data()), 2 * x.size());
  return bool(f.flush());
}
}  // namespace

int main(int argc, char** argv) {
  if (argc != 4 && argc != 5) {
    std::fprintf(stderr, "usage: aec3 FAR MIC OUT [LINEAR]\n");
    return 2;
  }
  const std::vector<int16_t> far = Read(argv[1]), mic = Read(argv[2]);
  if (far.empty() || mic.empty()) return 1;
  webrtc::AudioProcessing::Config config;
  config.echo_canceller.enabled = true;
  config.echo_canceller.export_linear_aec_output = argc == 5;
  webrtc::EchoCanceller3Config filter;  // as it comes, but for the tap of the linear stage
  filter.filter.export_linear_aec_output = argc == 5;
  rtc::LogMessage::LogToDebug(rtc::LS_NONE);
  auto apm = webrtc::AudioProcessingBuilder()
                 .SetConfig(config)
                 .SetEchoControlFactory(std::make_unique<webrtc::EchoCanceller3Factory>(filter))
                 .Create();
  if (!apm) return 3;
  const webrtc::StreamConfig mono(kRate, 1);
  std::vector<int16_t> out(mic.size()), linear(mic.size());
  std::array<int16_t, kBlock> render;
  std::array<float, kBlock> filtered[1];
  const size_t blocks = std::min(far.size(), mic.size()) / kBlock;
  const auto start = std::chrono::steady_clock::now();
  for (size_t i = 0; i < blocks; ++i) {
    if (apm->ProcessReverseStream(&far[i * kBlock], mono, mono, render.data()) != 0) return 4;
    if (apm->ProcessStream(&mic[i * kBlock], mono, mono, &out[i * kBlock]) != 0) return 5;
    if (argc == 5) {
      if (!apm->GetLinearAecOutput(filtered)) return 6;
      for (size_t k = 0; k < kBlock; ++k) {
        const float v = filtered[0][k] * 32768.0f;
        linear[i * kBlock + k] = static_cast<int16_t>(v > 32767.0f ? 32767.0f : v < -32768.0f ? -32768.0f : v);
      }
    }
  }
  const std::chrono::duration<double, std::nano> spent = std::chrono::steady_clock::now() - start;
  std::printf("%.0f\n", blocks ? spent.count() / blocks : 0.0);
  return Write(argv[3], out) && (argc == 4 || Write(argv[4], linear)) ? 0 : 1;
}

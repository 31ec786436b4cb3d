// speex_aec FAR MIC OUT [LINEAR]: speexdsp's canceller with its preprocessor, on raw 16-bit mono files of 16 kHz.
//
// Frames of 20 ms, at which it does better than at 10, a filter of 128 ms, settings as they come: the preprocessor suppresses the rest of the echo with its
// noise suppression (-15 dB; without that it suppresses no echo either). LINEAR is the output of the filter alone.
// Prints the mean time of 10 ms in nanoseconds.
#include <speex/speex_echo.h>
#include <speex/speex_preprocess.h>
#include <stdio.h>
#include <time.h>

enum { RATE = 16000, BLOCK = RATE / 50, TAIL = RATE * 128 / 1000 };

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static FILE *opened(const char *path, const char *mode) {
  FILE *f = fopen(path, mode);
  if (!f) perror(path);
  return f;
}

int main(int argc, char **argv) {
  if (argc != 4 && argc != 5) {
    fprintf(stderr, "usage: speex_aec FAR MIC OUT [LINEAR]\n");
    return 2;
  }
  FILE *far = opened(argv[1], "rb"), *mic = opened(argv[2], "rb"), *out = opened(argv[3], "wb");
  FILE *linear = argc == 5 ? opened(argv[4], "wb") : NULL;
  if (!far || !mic || !out || (argc == 5 && !linear)) return 1;
  SpeexEchoState *echo = speex_echo_state_init(BLOCK, TAIL);
  SpeexPreprocessState *after = speex_preprocess_state_init(BLOCK, RATE);
  int rate = RATE;
  speex_echo_ctl(echo, SPEEX_ECHO_SET_SAMPLING_RATE, &rate);
  speex_preprocess_ctl(after, SPEEX_PREPROCESS_SET_ECHO_STATE, echo);
  spx_int16_t f[BLOCK], m[BLOCK], y[BLOCK];
  long long spent = 0, blocks = 0;
  while (fread(f, 2, BLOCK, far) == BLOCK && fread(m, 2, BLOCK, mic) == BLOCK) {
    long long start = now_ns();
    speex_echo_cancellation(echo, m, f, y);
    spent += now_ns() - start;
    if (linear) fwrite(y, 2, BLOCK, linear);
    start = now_ns();
    speex_preprocess_run(after, y);
    spent += now_ns() - start;
    ++blocks;
    fwrite(y, 2, BLOCK, out);
  }
  printf("%lld\n", blocks ? spent / blocks / 2 : 0);
  speex_preprocess_state_destroy(after);
  speex_echo_state_destroy(echo);
  if (linear && fclose(linear)) return 1;
  return fclose(out) ? 1 : 0;
}

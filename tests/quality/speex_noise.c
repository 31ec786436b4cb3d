// speex_noise DB IN OUT: speexdsp's preprocessor as a noise suppressor, on raw 16-bit mono files of 16 kHz, frames of 10 ms.
//
// DB is the most it takes, for example -25; nothing else of it is on. Prints the mean time of a frame in nanoseconds.
#include <speex/speex_preprocess.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { RATE = 16000, FRAME = RATE / 100 };

static long long now_ns(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec * 1000000000LL + t.tv_nsec;
}

int main(int argc, char **argv) {
  if (argc != 4) {
    fprintf(stderr, "usage: speex_noise DB IN OUT\n");
    return 2;
  }
  FILE *in = fopen(argv[2], "rb"), *out = fopen(argv[3], "wb");
  if (!in || !out) {
    perror(in ? argv[3] : argv[2]);
    return 1;
  }
  SpeexPreprocessState *state = speex_preprocess_state_init(FRAME, RATE);
  int db = atoi(argv[1]);
  speex_preprocess_ctl(state, SPEEX_PREPROCESS_SET_NOISE_SUPPRESS, &db);
  spx_int16_t frame[FRAME];
  long long spent = 0, frames = 0;
  while (fread(frame, 2, FRAME, in) == FRAME) {
    long long start = now_ns();
    speex_preprocess_run(state, frame);
    spent += now_ns() - start;
    ++frames;
    fwrite(frame, 2, FRAME, out);
  }
  printf("%lld\n", frames ? spent / frames : 0);
  speex_preprocess_state_destroy(state);
  return fclose(out) ? 1 : 0;
}

// What the fuzz targets share. A target is one function, LLVMFuzzerTestOneInput: under clang
// libFuzzer calls it, everywhere else replay_main.cpp calls it with the inputs of its corpus.
// To search for ten minutes:
//   cmake --preset fuzz && cmake --build --preset fuzz --target gguf_fuzz
//   build-fuzz/fuzz/gguf_fuzz -max_total_time=600 FINDINGS_DIRECTORY tests/fuzz/corpus/gguf_fuzz
// What it finds goes into the corpus when it is fixed, under a name that says what it is.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string_view>

namespace precis::fuzz {

// Ends the process with a report: the parser broke a rule of its own.
inline void require(bool condition, const char* rule) {
  if (condition) return;
  std::fprintf(stderr, "broken rule: %s\n", rule);
  std::abort();
}

inline std::string_view text_of(const uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

}  // namespace precis::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, std::size_t size);

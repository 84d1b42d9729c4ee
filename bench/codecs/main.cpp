// Encoding and decoding of every format beside the memory's limit of the same run and other
// libraries. Google Benchmark runs it; a table of shares follows.
//
// Usage: codec_bench [--ggml=libggml-base.so] [--bitsandbytes=libbitsandbytes_cpu.so]
//                    [--benchmark_filter=REGEX] [--benchmark_out=FILE --benchmark_out_format=json]
#include <benchmark/benchmark.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>

#include <cstring>
#include <iostream>
#include <random>
#include <stdexcept>

#include "bench/codecs/codec.h"
#include "bench/codecs/limits.h"
#include "bench/codecs/report.h"

namespace precis::bench {
namespace {

using kernels::WeightType;

constexpr uint64_t kElements = kRows * kColumns;
constexpr uint64_t kFloatBytes = kElements * sizeof(float);
constexpr uint64_t kSearchRows = 128;

// Memory on large pages, so that translating addresses does not blur the comparison.
std::byte* allocate(uint64_t size) {
  constexpr uint64_t kPage = 2 << 20;
  auto* memory =
      static_cast<std::byte*>(std::aligned_alloc(kPage, (size + kPage - 1) & ~(kPage - 1)));
  if (memory == nullptr) throw std::bad_alloc();
  ::madvise(memory, size, MADV_HUGEPAGE);
  std::memset(memory, 1, size);
  return memory;
}

// Near-normal weights of standard deviation 0.02.
float* make_weights() {
  auto* weights = reinterpret_cast<float*>(allocate(kFloatBytes));
  std::mt19937_64 random(1);
  for (uint64_t i = 0; i < kElements; ++i) {
    float sum = 0;
    const uint64_t bits = random();
    for (int part = 0; part < 4; ++part)
      sum += static_cast<float>((bits >> (16 * part)) & 0xffff) / 65536.0f - 0.5f;
    weights[i] = sum * 0.0346f;
  }
  return weights;
}

struct Memory {
  float* weights = make_weights();
  std::byte* out = allocate(kFloatBytes);
  uint8_t* stored = reinterpret_cast<uint8_t*>(allocate(kFloatBytes));
};

// A thread a processor: the scheduler sometimes leaves two on one.
void pin(int thread) {
  cpu_set_t allowed, one;
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) return;
  static const cpu_set_t all = allowed;
  CPU_ZERO(&one);
  for (int cpu = 0, seen = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &all) && seen++ == thread) CPU_SET(cpu, &one);
  }
  if (CPU_COUNT(&one) == 1) ::sched_setaffinity(0, sizeof one, &one);
}

// Calls work(begin, end) with this thread's share of `rows` in every iteration.
template <typename Work>
void run(benchmark::State& state, uint64_t rows, uint64_t bytes_a_row, Work work) {
  pin(state.thread_index());
  const auto threads = static_cast<uint64_t>(state.threads());
  const auto thread = static_cast<uint64_t>(state.thread_index());
  const uint64_t begin = rows * thread / threads, end = rows * (thread + 1) / threads;
  for (auto _ : state) work(begin, end);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * (end - begin) * bytes_a_row));
}

// Rates are those of processor time, so that a busy machine does not count as a slow kernel.
template <typename Body>
void add(const std::string& name, const Body& body) {
  benchmark::RegisterBenchmark(name.c_str(), body)
      ->Threads(1)
      ->Threads(2)
      ->MinTime(0.03)
      ->Repetitions(7)
      ->ReportAggregatesOnly(false);
}

void add_limits(const Memory& memory) {
  add("limit/read", [&memory](benchmark::State& state) {
    run(state, kRows, kColumns * 4, [&](uint64_t begin, uint64_t end) {
      benchmark::DoNotOptimize(
          read_memory(reinterpret_cast<const std::byte*>(memory.weights + begin * kColumns),
                      (end - begin) * kColumns * 4));
    });
  });
  add("limit/write", [&memory](benchmark::State& state) {
    run(state, kRows, kColumns * 4, [&](uint64_t begin, uint64_t end) {
      write_memory(memory.out + begin * kColumns * 4, (end - begin) * kColumns * 4);
    });
  });
}

uint64_t encoded_rows(const Codec& codec) {
  return codec.searched_row_bytes != 0 ? kSearchRows : kRows;
}

void add_quantize(const Codec& codec, const Memory& memory) {
  add(fmt::format("quantize/{}/f32/{}", codec.format, codec.library),
      [&codec, &memory](benchmark::State& state) {
        run(state, encoded_rows(codec), kColumns * 4, [&](uint64_t begin, uint64_t end) {
          codec.quantize(memory.weights, begin, end, memory.stored);
        });
      });
}

// Fills memory.stored with a whole weight: random bytes would hold scales that are NaN or
// subnormal.
void encode_all(const Codec& codec, const Memory& memory) {
  codec.quantize(memory.weights, 0, encoded_rows(codec), memory.stored);
  const uint64_t bytes = encoded_rows(codec) * codec.searched_row_bytes;
  for (uint64_t row = kSearchRows; bytes != 0 && row < kRows; row += kSearchRows)
    std::memcpy(memory.stored + row * codec.searched_row_bytes, memory.stored, bytes);
}

void add_dequantize(const Codec& codec, WeightType type, const char* type_name,
                    const Memory& memory) {
  add(fmt::format("dequantize/{}/{}/{}", codec.format, type_name, codec.library),
      [&codec, &memory, type](benchmark::State& state) {
        if (state.thread_index() == 0 && codec.quantize) encode_all(codec, memory);
        run(state, kRows, kColumns * (type == WeightType::f32 ? 4 : 2),
            [&](uint64_t begin, uint64_t end) {
              codec.dequantize(memory.stored, begin, end, type, memory.out);
            });
      });
}

void add_codec(const Codec& codec, const Memory& memory) {
  if (codec.quantize) add_quantize(codec, memory);
  if (!codec.dequantize) return;
  constexpr std::pair<WeightType, const char*> kTypes[] = {
      {WeightType::f32, "f32"}, {WeightType::bf16, "bf16"}, {WeightType::f16, "f16"}};
  for (const auto& [type, name] : kTypes) {
    if (codec.dequantize(memory.stored, 0, 0, type, memory.out))
      add_dequantize(codec, type, name, memory);
  }
}

}  // namespace
}  // namespace precis::bench

int main(int argc, char** argv) {
  using namespace precis::bench;
  std::vector<Codec> codecs = precis_codecs();
  std::vector<char*> arguments;
  try {
    for (int i = 0; i < argc; ++i) {
      const std::string_view argument(argv[i]);
      std::vector<Codec> peers;
      if (argument.starts_with("--ggml="))
        peers = ggml_codecs(std::string(argument.substr(7)));
      else if (argument.starts_with("--bitsandbytes="))
        peers = bitsandbytes_codecs(std::string(argument.substr(15)));
      else
        arguments.push_back(argv[i]);
      codecs.insert(codecs.end(), peers.begin(), peers.end());
    }
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
  // Repetitions of different benchmarks take turns, so that a disturbance meets them alike.
  std::string interleaving = "--benchmark_enable_random_interleaving=true";
  arguments.push_back(interleaving.data());
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  const Memory memory;
  add_limits(memory);
  for (const Codec& codec : codecs) add_codec(codec, memory);
  ShareReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  std::cout << reporter.table();
  return 0;
}

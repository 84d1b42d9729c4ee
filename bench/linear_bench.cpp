// Products with quantized weights beside what the machine allows: GEMV by the bandwidth of reading,
// GEMM by the rate of the multiplying instruction, AMX's where there is one, measured in turn in
// the same run.
//
//   linear_bench [--threads N] [--rounds N] [--rows N]... [--processor-time] [--round-activations]
//                [--random-parts] [--codecs] [--json] [FORMAT...]
//
// --rows: of the activations; 1, 32 and 512 where none are given.
// --round-activations allows products that are less exact than the library's.
// --random-parts fills the stored tensors with numbers at random instead of encoding a weight, for
// methods that search for long.
// --codecs measures encoding from bfloat16 and decoding to each dtype in place of products.
//
// Weights rotate through 256 MiB, so that a GEMV reads them from memory. Prints medians.
// "decoding": the time to decode the weight to bfloat16, over that of the product.
// --processor-time counts the time of the process alone, for machines shared with other work; with
// several threads it is divided by their number, which hides what they wait for each other.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <random>

#include "bench/limits.h"
#include "core/abi/host.h"
#include "core/abi/linear.h"
#include "core/abi/views.h"
#include "core/engine/logical_tensor.h"
#include "registry/config/registry_resolver.h"

namespace {

using precis::DType;
using precis::process_host;
using precis::bench::Bound;
using precis::bench::count_processor_time;
using precis::bench::Limit;
using precis::bench::Limits;
using precis::bench::seconds;

constexpr int64_t kFeatures = 4096;  // in and out
constexpr uint64_t kRotation = 256u << 20;

// ---- one format

struct Weight {
  std::vector<std::vector<std::byte>> memory, packed;
  std::unique_ptr<precis::AbiTensors> tensors, packed_tensors;
  std::unique_ptr<precis::Linear> linear;
};

template <typename Value>
Value check(precis::Result<Value> result) {
  if (result.ok()) return std::move(*result);
  fmt::print(stderr, "{}\n", result.error().text());
  std::exit(1);
}
void check(const precis::Status& status) {
  if (status.ok()) return;
  fmt::print(stderr, "{}\n", status.error().text());
  std::exit(1);
}

void fill_with_numbers(DType dtype, std::span<std::byte> out) {
  std::mt19937 generator(1);
  std::normal_distribution<float> normal(0, 0.02f);
  const std::size_t size = precis::dtype_bits(dtype) / 8;
  std::vector<float> row(kFeatures);
  for (std::size_t at = 0; at < out.size(); at += row.size() * size) {
    for (float& value : row) value = normal(generator);
    precis::convert_from_float(row.data(), std::min(row.size(), (out.size() - at) / size), dtype,
                               out.data() + at);
  }
}

// Numbers in parts of floats, any bytes in the others.
void fill_parts(std::span<const precis::PartSpec> specs,
                const std::vector<std::span<std::byte>>& parts) {
  std::mt19937 generator(1);
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const DType dtype = specs[i].dtype;
    if (dtype == DType::f32 || dtype == DType::f16 || dtype == DType::bf16) {
      fill_with_numbers(dtype, parts[i]);
    } else {
      for (std::byte& byte : parts[i]) byte = static_cast<std::byte>(generator());
    }
  }
}

class Format {
 public:
  Format(precis::RegistryResolver& resolver, std::string spec, bool round_activations,
         bool random_parts)
      : spec_(std::move(spec)), random_parts_(random_parts) {
    quantizer_ = check(resolver.from_spec(spec_, ""));
    param_.name = "layer.weight";
    param_.module_kind = "Linear";
    param_.dtype = DType::bf16;
    param_.shape = {kFeatures, kFeatures};
    // Types that must have an importance are planned with one.
    if (random_parts) param_.importance = std::make_shared<std::vector<float>>(kFeatures, 1.0f);
    plan_ = check(quantizer_->plan(param_));
    const precis::LinearOptions options{precis::kCpuDevice, DType::bf16, 512, round_activations};
    linear_plan_ = check(precis::Linear::plan(*quantizer_, options, param_));
    workspace_.resize(linear_plan_.workspace_bytes + 64);
    for (const precis::PartSpec& part : plan_.parts) bytes_ += part.nbytes;
    const uint64_t copies = kRotation / bytes_ + 1;
    for (uint64_t i = 0; i < copies; ++i) add_copy(options);
  }

  const std::string& spec() const { return spec_; }
  double weight_bytes() const { return static_cast<double>(bytes_); }
  uint64_t copies() const { return weights_.size(); }

  // Seconds of one forward of `rows` rows, the mean over `count` weights in rotation.
  double forward(int64_t rows, uint64_t count) {
    std::vector<std::byte> x(static_cast<std::size_t>(rows * kFeatures) * 2), y(x.size());
    std::vector<float> values(static_cast<std::size_t>(rows * kFeatures));
    std::mt19937 generator(2);
    std::normal_distribution<float> normal(0, 1);
    for (float& value : values) value = normal(generator);
    precis::convert_from_float(values.data(), values.size(), DType::bf16, x.data());
    const int64_t shape[] = {rows, kFeatures};
    precis::AbiTensor abi_x(x.data(), x.size(), DType::bf16, shape, "", true);
    precis::AbiTensor abi_y(y.data(), y.size(), DType::bf16, shape, "", false);
    return seconds([&] {
             for (uint64_t i = 0; i < count; ++i) {
               next_ = (next_ + 1) % weights_.size();
               check(weights_[next_].linear->forward(*abi_x.get(), nullptr, *abi_y.get(),
                                                     workspace()));
             }
           }) /
           static_cast<double>(count);
  }

  // Seconds of decoding a weight, `rows` rows at once, on all threads; to bfloat16, a product of
  // decoded rows takes them before it multiplies.
  double decode(DType dtype, int64_t rows) {
    const uint64_t row_bytes = static_cast<uint64_t>(kFeatures) * precis::dtype_bits(dtype) / 8;
    decoded_.resize(static_cast<std::size_t>(kFeatures) * row_bytes);
    next_ = (next_ + 1) % weights_.size();
    const auto& memory = weights_[next_].memory;
    const std::vector<std::span<const std::byte>> parts(memory.begin(), memory.end());
    return seconds([&] {
      process_host().pool().parallel_for(kFeatures / rows, 1, [&](uint64_t begin, uint64_t end) {
        for (uint64_t i = begin; i < end; ++i) {
          const auto out = std::span(decoded_).subspan(i * rows * row_bytes, rows * row_bytes);
          check(quantizer_->dequantize(param_, plan_.parts, parts, static_cast<int64_t>(i) * rows,
                                       rows, dtype, out));
        }
      });
    });
  }

  // Seconds of encoding a weight of bfloat16 on all threads.
  double encode() {
    std::vector<std::vector<std::byte>> made = weights_.front().memory;
    return encode({made.begin(), made.end()});
  }
  bool has_random_parts() const { return random_parts_; }

 private:
  std::span<std::byte> workspace() {
    const auto address = reinterpret_cast<uintptr_t>(workspace_.data());
    return std::span(workspace_).subspan((64 - address % 64) % 64, linear_plan_.workspace_bytes);
  }

  double encode(const std::vector<std::span<std::byte>>& parts) {
    std::vector<std::byte> scratch(plan_.workspace_bytes);
    if (values_.empty()) {
      values_.resize(param_.elements() * 2);
      fill_with_numbers(DType::bf16, values_);
    }
    return seconds([&] {
      check(quantizer_->quantize(param_, values_, plan_.parts, parts, scratch, nullptr));
    });
  }

  void add_copy(const precis::LinearOptions& options) {
    Weight& weight = weights_.emplace_back();
    if (weights_.size() == 1) {
      for (const precis::PartSpec& part : plan_.parts) weight.memory.emplace_back(part.nbytes);
      const std::vector<std::span<std::byte>> parts(weight.memory.begin(), weight.memory.end());
      if (random_parts_)
        fill_parts(plan_.parts, parts);
      else
        encode(parts);
    } else {
      weight.memory = weights_.front().memory;
    }
    std::vector<std::span<const std::byte>> stored(weight.memory.begin(), weight.memory.end());
    weight.tensors = std::make_unique<precis::AbiTensors>(plan_.parts, stored);
    std::vector<std::span<std::byte>> packed;
    for (const precis::PartSpec& part : linear_plan_.packed)
      packed.emplace_back(weight.packed.emplace_back(part.nbytes));
    weight.packed_tensors = std::make_unique<precis::AbiTensors>(linear_plan_.packed, packed);
    weight.linear = check(precis::Linear::prepare(
        quantizer_, options, param_,
        std::span(weight.tensors->const_pointers(), weight.tensors->count()),
        std::span(weight.packed_tensors->pointers(), weight.packed_tensors->count()), workspace()));
  }

  std::string spec_;
  bool random_parts_;
  std::shared_ptr<const precis::Quantizer> quantizer_;
  precis::Param param_;
  precis::PartPlan plan_;
  precis::LinearPlan linear_plan_;
  std::vector<std::byte> workspace_, values_, decoded_;
  std::vector<Weight> weights_;
  uint64_t bytes_ = 0, next_ = 0;
};

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// What bounds the products of a format with many rows.
Bound product_bound(const std::string& spec, bool round_activations) {
  const bool integers = spec == "int8" || spec == "int8dq" || spec == "w8a8" ||
                        (spec.starts_with("gguf") && round_activations);
  return integers ? Bound::integers : Bound::floats;
}

struct Options {
  unsigned threads = 1;
  int rounds = 5;
  bool json = false, processor_time = false, round_activations = false, random_parts = false,
       codecs = false;
  std::vector<int64_t> rows;
  std::vector<std::string> formats;
};

constexpr int64_t kReadingRows = 8;  // up to so many, reading the weight is the limit

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--threads" && i + 1 < argc)
      options.threads = static_cast<unsigned>(std::stoul(argv[++i]));
    else if (argument == "--rounds" && i + 1 < argc)
      options.rounds = std::stoi(argv[++i]);
    else if (argument == "--rows" && i + 1 < argc)
      options.rows.push_back(std::stol(argv[++i]));
    else if (argument == "--json")
      options.json = true;
    else if (argument == "--round-activations")
      options.round_activations = true;
    else if (argument == "--random-parts")
      options.random_parts = true;
    else if (argument == "--codecs")
      options.codecs = true;
    else if (argument == "--processor-time")
      options.processor_time = true;
    else
      options.formats.emplace_back(argument);
  }
  if (options.rows.empty()) options.rows = {1, 32, 512};
  if (options.formats.empty()) {
    options.formats = {"nf4",
                       "int8",
                       "quanto:weights=int8",
                       "quanto:weights=int4",
                       "quanto:weights=float8",
                       "gguf:type=q4_0",
                       "gguf:type=q8_0",
                       "gguf:type=q4_k",
                       "gguf:type=q5_k",
                       "gguf:type=q6_k"};
  }
  return options;
}

void measure(precis::RegistryResolver& resolver, const std::string& spec, const Options& options,
             const Limits& limits) {
  Format format(resolver, spec, options.round_activations, options.random_parts);
  const double operations = 2.0 * kFeatures * kFeatures;
  for (const int64_t rows : options.rows) {
    const bool reads = rows <= kReadingRows;
    const Limit& bound =
        limits.of(reads ? Bound::reading : product_bound(spec, options.round_activations));
    std::vector<double> rates, shares, decodings;
    for (int round = 0; round < options.rounds; ++round) {
      const double limit = bound.measure();
      const double time = format.forward(rows, reads ? format.copies() : rows <= 32 ? 8 : 2);
      rates.push_back(reads ? format.weight_bytes() / time * 1e-9
                            : operations * static_cast<double>(rows) / time * 1e-9);
      shares.push_back(rates.back() / limit);
      decodings.push_back(format.decode(DType::bf16, 64) / time);
    }
    if (options.json) {
      fmt::print("{}\n", nlohmann::json{{"format", spec},
                                        {"rows", rows},
                                        {"threads", options.threads},
                                        {"rate", median(rates)},
                                        {"unit", bound.unit},
                                        {"limit", bound.name},
                                        {"share", median(shares)},
                                        {"weight_bytes", format.weight_bytes()},
                                        {"decoding", median(decodings)}}
                             .dump());
    } else {
      fmt::print("{:<24} {:>4} rows {:>2} threads {:>8.1f} {:<8} {:.2f} of {}; decoding {:.2f}\n",
                 spec, rows, options.threads, median(rates), bound.unit, median(shares), bound.name,
                 median(decodings));
    }
    std::fflush(stdout);
  }
}

struct Operation {
  const char* name;
  Bound bound;
  double bytes;
  std::function<double()> run;
};

void measure_codec(precis::RegistryResolver& resolver, const std::string& spec,
                   const Options& options, const Limits& limits) {
  Format format(resolver, spec, options.round_activations, options.random_parts);
  constexpr double kElements = static_cast<double>(kFeatures) * kFeatures;
  const int64_t share = kFeatures / options.threads;
  std::vector<Operation> operations;
  if (!format.has_random_parts())
    operations.push_back(
        {"quantize bf16", Bound::reading, 2 * kElements, [&] { return format.encode(); }});
  for (const auto& [name, dtype] : {std::pair{"dequantize f32", DType::f32},
                                    {"dequantize bf16", DType::bf16},
                                    {"dequantize f16", DType::f16}})
    operations.push_back({name, Bound::writing, precis::dtype_bits(dtype) / 8 * kElements,
                          [&format, share, dtype = dtype] { return format.decode(dtype, share); }});
  for (const Operation& operation : operations) {
    const Limit& bound = limits.of(operation.bound);
    std::vector<double> rates, shares;
    for (int round = 0; round < options.rounds; ++round) {
      const double limit = bound.measure();
      rates.push_back(operation.bytes / operation.run() * 1e-9);
      shares.push_back(rates.back() / limit);
    }
    if (options.json) {
      fmt::print("{}\n", nlohmann::json{{"format", spec},
                                        {"operation", operation.name},
                                        {"threads", options.threads},
                                        {"rate", median(rates)},
                                        {"unit", "GB/s"},
                                        {"limit", bound.name},
                                        {"share", median(shares)}}
                             .dump());
    } else {
      fmt::print("{:<24} {:<16} {:>2} threads {:>8.1f} GB/s {:.2f} of {}\n", spec, operation.name,
                 options.threads, median(rates), median(shares), bound.name);
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  if (options.processor_time) count_processor_time(options.threads);
  process_host(options.threads);
  precis::PluginRegistry plugins(process_host().abi(),
                                 {std::filesystem::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  precis::RegistryResolver resolver(plugins);
  const Limits limits(options.threads, kRotation);
  for (const std::string& spec : options.formats) {
    if (options.codecs)
      measure_codec(resolver, spec, options, limits);
    else
      measure(resolver, spec, options, limits);
  }
}

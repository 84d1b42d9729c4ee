// The runtime's QuantizedLinear beside LibTorch's Linear in bfloat16, in turn, in one process.
//
//   modules_bench [--threads N] [--rounds N] [--rows N]... [--processor-time] [--json] [SPEC...]
//
// Prints how many times as fast as the float module each is, and for up to 8 rows, which reading
// the weight bounds, that over the ratio of their bytes. Weights are 4096 x 4096 and rotate through
// 256 MiB; medians. --processor-time: as in linear_bench.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/nn/modules/linear.h>

#include <chrono>
#include <ctime>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/abi/host.h"
#include "registry/config/registry_resolver.h"
#include "runtime/modules/quantized_linear.h"

namespace {

constexpr int64_t kFeatures = 4096;  // in and out
constexpr uint64_t kRotation = 256u << 20;
constexpr int64_t kReadingRows = 8;

struct Options {
  int threads = 1, rounds = 5;
  bool processor_time = false, json = false;
  std::vector<int64_t> rows;
  std::vector<std::string> specs;
};

Options parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--threads" && i + 1 < argc)
      options.threads = std::stoi(argv[++i]);
    else if (argument == "--rounds" && i + 1 < argc)
      options.rounds = std::stoi(argv[++i]);
    else if (argument == "--rows" && i + 1 < argc)
      options.rows.push_back(std::stol(argv[++i]));
    else if (argument == "--processor-time")
      options.processor_time = true;
    else if (argument == "--json")
      options.json = true;
    else
      options.specs.emplace_back(argument);
  }
  if (options.rows.empty()) options.rows = {1, 8, 256, 1024, 4096};
  if (options.specs.empty())
    options.specs = {"nf4",
                     "int8",
                     "qint8",
                     "qint4",
                     "int8wo",
                     "int8dq",
                     "gguf:type=q4_0",
                     "gguf:type=q8_0",
                     "gguf:type=q4_k",
                     "gptq-4bit",
                     "awq",
                     "hqq-4bit",
                     "fp8"};
  return options;
}

double now(const Options& options) {
  if (options.processor_time)
    return static_cast<double>(std::clock()) / CLOCKS_PER_SEC / options.threads;
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

template <typename Value>
Value check(precis::Result<Value> result) {
  if (result.ok()) return std::move(*result);
  fmt::print(stderr, "{}\n", result.error().text());
  std::exit(1);
}

// As many modules as the rotation takes, one after the other.
struct Rotation {
  std::vector<std::function<at::Tensor(const at::Tensor&)>> modules;
  std::size_t next = 0;

  double seconds(const Options& options, const at::Tensor& x, std::size_t count) {
    const double begin = now(options);
    for (std::size_t i = 0; i < count; ++i) modules[next = (next + 1) % modules.size()](x);
    return (now(options) - begin) / static_cast<double>(count);
  }
};

Rotation float_modules(const at::Tensor& weight) {
  Rotation rotation;
  for (uint64_t bytes = 0; bytes < kRotation; bytes += weight.nbytes()) {
    const auto linear = precis::float_linear(weight.clone(), {}).ptr();
    rotation.modules.emplace_back([linear](const at::Tensor& x) { return linear->forward(x); });
  }
  return rotation;
}

Rotation quantized_modules(const precis::QuantizedWeight& encoded) {
  Rotation rotation;
  for (uint64_t bytes = 0; bytes < kRotation; bytes += encoded.bytes()) {
    precis::QuantizedWeight weight = encoded;
    for (at::Tensor& part : weight.parts) part = part.clone();
    const auto linear =
        std::make_shared<precis::QuantizedLinear>(std::move(weight), torch::Tensor());
    rotation.modules.emplace_back([linear](const at::Tensor& x) { return linear->forward(x); });
  }
  return rotation;
}

void measure(const std::string& spec, const precis::QuantizedWeight& encoded, double float_bytes,
             Rotation& floats, const Options& options) {
  Rotation ours = quantized_modules(encoded);
  const double bytes_ratio = float_bytes / static_cast<double>(encoded.bytes());
  for (const int64_t rows : options.rows) {
    const at::Tensor x = at::randn({rows, kFeatures}, at::kBFloat16);
    const bool reads = rows <= kReadingRows;
    const std::size_t count = reads ? floats.modules.size() : rows <= 256 ? 4 : 1;
    ours.seconds(options, x, reads ? ours.modules.size() : 1);
    floats.seconds(options, x, 1);
    std::vector<double> ratios, times;
    for (int round = 0; round < options.rounds; ++round) {
      times.push_back(ours.seconds(options, x, count));
      ratios.push_back(floats.seconds(options, x, count) / times.back());
    }
    const double ratio = median(ratios);
    if (options.json) {
      nlohmann::json row{{"format", spec},
                         {"rows", rows},
                         {"threads", options.threads},
                         {"seconds", median(times)},
                         {"over_bfloat16", ratio}};
      if (reads) row["of_bytes"] = ratio / bytes_ratio;
      fmt::print("{}\n", row.dump());
    } else {
      fmt::print("{:<16} {:>5} rows {:>8.3f} ms {:>6.2f} x bfloat16", spec, rows,
                 median(times) * 1e3, ratio);
      fmt::print("{}\n",
                 reads ? fmt::format(", {:.2f} of the ratio of bytes", ratio / bytes_ratio) : "");
    }
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const Options options = parse(argc, argv);
  at::set_num_threads(options.threads);
  precis::process_host(static_cast<unsigned>(options.threads));
  precis::PluginRegistry plugins(precis::process_host().abi(),
                                 {std::filesystem::path(PRECIS_BINARY_DIR) / "lib/precis/plugins"});
  precis::RegistryResolver resolver(plugins);
  at::manual_seed(0);
  const at::NoGradGuard no_grad;
  const at::Tensor weight = (at::randn({kFeatures, kFeatures}) * 0.02).to(at::kBFloat16);
  Rotation floats = float_modules(weight);
  for (const std::string& spec : options.specs) {
    const precis::Param param{"layer.weight",       "Linear", precis::DType::bf16,
                              weight.sizes().vec(), true,     nullptr};
    const auto encoded =
        check(precis::QuantizedWeight::encode(check(resolver.from_spec(spec, "")), param, weight));
    measure(spec, encoded, static_cast<double>(weight.nbytes()), floats, options);
  }
}

#include "runtime/loading/load.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "core/engine/memory_usage.h"
#include "runtime/modules/any_layer.h"
#include "runtime/modules/quantized_linear.h"
#include "runtime/modules/without_weights.h"
#include "runtime/offload/mapped_tensor.h"
#include "runtime/tensor/tensor_adapter.h"
#include "runtime/test_plugins.h"

namespace precis {
namespace {

struct Block : torch::nn::Module {
  Block()
      : fc1(*this, "fc1", torch::nn::Linear(64, 128)),
        fc2(*this, "fc2", torch::nn::Linear(128, 64)) {}
  torch::Tensor forward(const torch::Tensor& x) { return fc2(fc1(x)); }
  AnyLayer fc1, fc2;
};

using State = std::map<std::string, torch::Tensor>;

// A directory with the state dict as diffusers saves it, removed again.
class SavedModel {
 public:
  explicit SavedModel(const State& state, const nlohmann::json& config = nlohmann::json::object()) {
    std::filesystem::create_directories(path_);
    nlohmann::json header = nlohmann::json::object();
    uint64_t offset = 0;
    for (const auto& [name, tensor] : state) {
      header[name] = {{"dtype", safetensors_dtype_name(*dtype_of(tensor.scalar_type()))},
                      {"shape", tensor.sizes().vec()},
                      {"data_offsets", {offset, offset + tensor.nbytes()}}};
      offset += tensor.nbytes();
    }
    std::string text = header.dump();
    text.resize((text.size() + 7) / 8 * 8, ' ');  // as the library aligns the first tensor
    const uint64_t size = text.size();
    std::ofstream file(path_ / "diffusion_pytorch_model.safetensors", std::ios::binary);
    file.write(reinterpret_cast<const char*>(&size), sizeof size);
    file << text;
    for (const auto& [name, tensor] : state) {
      const torch::Tensor bytes = tensor.contiguous();
      file.write(static_cast<const char*>(bytes.data_ptr()),
                 static_cast<std::streamsize>(bytes.nbytes()));
    }
    std::ofstream(path_ / "config.json") << config.dump();
  }
  ~SavedModel() { std::filesystem::remove_all(path_); }

  Component component() const {
    auto opened = open_checkpoint(path_);
    if (!opened.ok()) throw std::runtime_error(opened.error().text());
    return opened->components.front();
  }

 private:
  static inline int count_ = 0;
  std::filesystem::path path_ =
      std::filesystem::temp_directory_path() / fmt::format("precis-load-{}-{}", getpid(), count_++);
};

State state_of(const torch::nn::Module& model) {
  State state;
  for (const auto& item : model.named_parameters()) state[item.key()] = item.value().detach();
  for (const auto& item : model.named_buffers()) state[item.key()] = item.value();
  return state;
}

LoadOptions on_the_fly(const std::string& config) {
  LoadOptions options;
  options.quantize.emplace();
  options.quantize->config = config;
  return options;
}

std::shared_ptr<Block> empty_block() {
  const WithoutWeights without;
  return std::make_shared<Block>();
}

TEST(LoadModel, FloatWeightsAreTheCheckpoints) {
  const at::NoGradGuard no_grad;
  Block source;
  const SavedModel saved(state_of(source));
  const auto model = empty_block();
  const auto report = load_model(*model, saved.component(), test_plugins(), {});
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->quantized, 0u);
  const torch::Tensor x = at::randn({2, 64});
  EXPECT_TRUE(at::equal(model->forward(x), source.forward(x)));
}

TEST(LoadModel, QuantizesOnTheFlyAsQuantizeDoes) {
  const at::NoGradGuard no_grad;
  const auto source = std::make_shared<Block>();
  const SavedModel saved(state_of(*source));
  const auto model = empty_block();
  const auto report = load_model(*model, saved.component(), test_plugins(), on_the_fly("nf4"));
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->quantized, 2u);
  QuantizeOptions options;
  options.config = "nf4";
  ASSERT_TRUE(quantize(*source, options, test_plugins()).ok());
  const torch::Tensor x = at::randn({2, 64});
  EXPECT_TRUE(at::equal(model->forward(x), source->forward(x)));
}

std::string plugin_of(torch::nn::Module& model, const std::string& layer) {
  const auto children = model.named_children();
  const auto* quantized = children[layer]->as<QuantizedLayer>();
  return quantized == nullptr ? "" : quantized->weight().quantizer->plugin_id();
}

TEST(LoadModel, MixesMethodsWithinAComponent) {
  const at::NoGradGuard no_grad;
  const auto source = std::make_shared<Block>();
  const SavedModel saved(state_of(*source));
  for (const std::string config : {"nf4", ""}) {
    LoadOptions options = on_the_fly(config);
    options.quantize->rules = {{"fc2", "qint8"}};
    const auto model = empty_block();
    const auto report = load_model(*model, saved.component(), test_plugins(), options);
    ASSERT_TRUE(report.ok()) << report.error().text();
    EXPECT_EQ(report->quantized, config.empty() ? 1u : 2u);
    EXPECT_EQ(plugin_of(*model, "fc1"), config.empty() ? "" : "bitsandbytes");
    EXPECT_EQ(plugin_of(*model, "fc2"), "quanto");
  }
}

TEST(LoadModel, AsksEveryMixedQuantizerItsHooks) {
  Block source;
  const SavedModel saved(state_of(source));
  std::map<std::string, int> calls;
  LoadOptions options = on_the_fly("nf4");
  options.quantize->rules = {{"fc2", "qint8"}};
  options.observer = [&](const std::string& hook) { ++calls[hook]; };
  ASSERT_TRUE(load_model(*empty_block(), saved.component(), test_plugins(), options).ok());
  for (const char* hook : {"validate_environment", "update_torch_dtype", "preprocess_model",
                           "update_missing_keys", "postprocess_model", "create_quantized_param"}) {
    EXPECT_EQ(calls[hook], 2) << hook;
  }
}

TEST(LoadModel, TakesTensorsUnderTheirOtherNames) {
  Block source;
  State state;
  for (const auto& [name, tensor] : state_of(source)) state["old." + name] = tensor;
  LoadOptions options = on_the_fly("nf4");
  options.stored_names = [](const std::string& name) {
    return std::vector<std::string>{name, "old." + name};
  };
  const auto model = empty_block();
  const auto report = load_model(*model, SavedModel(state).component(), test_plugins(), options);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->quantized, 2u);
}

TEST(LoadModel, TakesAQuantizedCheckpointAsItIs) {
  const at::NoGradGuard no_grad;
  for (const std::string config :
       {R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})",
        R"({"quant_method": "quanto", "weights_dtype": "int8"})"}) {
    SCOPED_TRACE(config);
    Block source;
    QuantizeOptions options;
    options.config = config;
    const auto done = quantize(source, options, test_plugins());
    ASSERT_TRUE(done.ok()) << done.error().text();
    const SavedModel saved(
        state_of(source),
        {{"_class_name", "Block"}, {"quantization_config", nlohmann::json::parse(config)}});
    const auto model = empty_block();
    const auto report = load_model(*model, saved.component(), test_plugins(), {});
    ASSERT_TRUE(report.ok()) << report.error().text();
    EXPECT_EQ(report->quantized, 2u);
    const torch::Tensor x = at::randn({2, 64});
    EXPECT_TRUE(at::equal(model->forward(x), source.forward(x)));
  }
}

TEST(LoadModel, WhatIsNotQuantizedGetsTheDtypeAskedFor) {
  Block source;
  const SavedModel saved(state_of(source));
  const auto model = empty_block();
  LoadOptions options = on_the_fly("qint8");
  options.dtype = DType::bf16;
  ASSERT_TRUE(load_model(*model, saved.component(), test_plugins(), options).ok());
  EXPECT_EQ(model->named_parameters()["fc1.bias"].scalar_type(), at::kBFloat16);
}

// Bytes of a module's weights whose pages are in this process' memory; 0 for what is not mapped.
uint64_t resident_bytes(const torch::nn::Module& module) {
  uint64_t bytes = 0;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  std::ifstream maps("/proc/self/smaps");
  std::string line;
  const auto state = state_of(module);
  bool ours = false;
  while (std::getline(maps, line)) {
    uintptr_t begin = 0, end = 0;
    unsigned long kilobytes = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2) {
      ours = std::any_of(state.begin(), state.end(), [&](const auto& item) {
        const auto at = reinterpret_cast<uintptr_t>(item.second.data_ptr()) / page * page;
        return is_mapped(item.second) && at >= begin && at < end;
      });
    } else if (ours && std::sscanf(line.c_str(), "Rss: %lu kB", &kilobytes) == 1) {
      bytes += kilobytes * 1024;
    }
  }
  return bytes;
}

// Layers of many pages, each in AnyLayers.
struct ThreeLayers : torch::nn::Module {
  explicit ThreeLayers(int64_t width = 512)
      : fc1(*this, "fc1", torch::nn::Linear(width, width)),
        fc2(*this, "fc2", torch::nn::Linear(width, width)),
        fc3(*this, "fc3", torch::nn::Linear(width, width)) {}
  torch::Tensor forward(const torch::Tensor& x) { return fc3(fc2(fc1(x))); }
  AnyLayer fc1, fc2, fc3;
};

std::shared_ptr<ThreeLayers> empty_layers() {
  const WithoutWeights without;
  return std::make_shared<ThreeLayers>();
}

// Where the weights may live in tests: the build tree is on a disk.
std::filesystem::path disk() {
  return std::filesystem::current_path();
}

TEST(LoadModel, MapsWhatIsHeldAsItIsStored) {
  const at::NoGradGuard no_grad;
  ThreeLayers source;
  const SavedModel saved(state_of(source));
  const auto mapped = empty_layers(), copied = empty_layers();
  LoadOptions options;
  const auto report = load_model(*mapped, saved.component(), test_plugins(), options);
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->mapped_bytes, report->bytes);
  options.map_files = false;
  EXPECT_EQ(load_model(*copied, saved.component(), test_plugins(), options)->mapped_bytes, 0u);
  const torch::Tensor x = at::randn({2, 512});
  EXPECT_TRUE(at::equal(mapped->forward(x), source.forward(x)));
  EXPECT_TRUE(at::equal(copied->forward(x), source.forward(x)));
  // Writing is allowed and stays in this process.
  mapped->named_parameters()["fc1.weight"].zero_();
  const auto again = empty_layers();
  ASSERT_TRUE(load_model(*again, saved.component(), test_plugins(), {}).ok());
  EXPECT_TRUE(at::equal(again->forward(x), source.forward(x)));
}

TEST(LoadModel, WeightsOnTheDiskAreInMemoryWhileTheirLayerWorks) {
  const at::NoGradGuard no_grad;
  const auto source = std::make_shared<ThreeLayers>();
  const SavedModel saved(state_of(*source));
  for (const std::string config : {"", "qint8", "nf4"}) {
    SCOPED_TRACE(config);
    LoadOptions options = config.empty() ? LoadOptions() : on_the_fly(config);
    const auto kept = empty_layers(), offloaded = empty_layers();
    ASSERT_TRUE(load_model(*kept, saved.component(), test_plugins(), options).ok());
    options.device_map = "disk";
    options.offload_directory = disk();
    const auto report = load_model(*offloaded, saved.component(), test_plugins(), options);
    ASSERT_TRUE(report.ok()) << report.error().text();
    EXPECT_EQ(report->disk_bytes, report->bytes);
    const torch::Tensor x = at::randn({2, 512});
    EXPECT_TRUE(at::equal(offloaded->forward(x), kept->forward(x)));
    EXPECT_LE(resident_bytes(*offloaded), 64u << 10);
  }
}

TEST(LoadModel, WithoutStreamingWeightsStayUntilTheyAreReleased) {
  const at::NoGradGuard no_grad;
  const SavedModel saved(state_of(ThreeLayers()));
  LoadOptions options = on_the_fly("qint8");
  options.device_map = "disk";
  options.offload_directory = disk();
  options.stream = false;
  const auto model = empty_layers();
  ASSERT_TRUE(load_model(*model, saved.component(), test_plugins(), options).ok());
  model->forward(at::randn({2, 512}));
  EXPECT_GE(resident_bytes(*model), 3u * 512 * 512);
  release_weights(*model);
  EXPECT_LE(resident_bytes(*model), 64u << 10);
}

TEST(LoadModel, DeviceMapSaysWhichLayersAreOnTheDisk) {
  const SavedModel saved(state_of(ThreeLayers()));
  const uint64_t layer = 512 * 512 * 4 + 512 * 4;
  const auto disk_bytes = [&](const nlohmann::json& map, std::map<std::string, uint64_t> budgets) {
    LoadOptions options;
    options.device_map = map;
    options.max_memory = std::move(budgets);
    options.offload_directory = disk();
    const auto report = load_model(*empty_layers(), saved.component(), test_plugins(), options);
    EXPECT_TRUE(report.ok()) << report.error().text();
    return report.ok() ? report->disk_bytes : 0;
  };
  EXPECT_EQ(disk_bytes({{"fc2", "disk"}, {"", "cpu"}}, {}), layer);
  EXPECT_EQ(disk_bytes("auto", {{"cpu", 3 * layer}}), 0u);
  // The layer at work needs room beside those that stay.
  EXPECT_EQ(disk_bytes("auto", {{"cpu", 2 * layer}}), 2 * layer);
}

TEST(LoadModel, MistakesAreFoundBeforeAWeightIsRead) {
  Block source;
  State state = state_of(source);
  const SavedModel whole(state);
  const auto refused = [](const SavedModel& saved, const LoadOptions& options) {
    const auto model = empty_block();
    const auto report = load_model(*model, saved.component(), test_plugins(), options);
    EXPECT_EQ(model->named_parameters()["fc1.weight"].storage().nbytes(), sizeof(float));
    return report.ok() ? ErrorCode::internal : report.error().code();
  };
  LoadOptions device;
  device.device_map = "cuda:7";
  EXPECT_EQ(refused(whole, device), ErrorCode::device_error);
  LoadOptions gap;
  gap.device_map = {{"fc1", "cpu"}};
  EXPECT_EQ(refused(whole, gap), ErrorCode::invalid_argument);
  LoadOptions budget;
  budget.max_memory = {{"cpu", 1000}};
  EXPECT_EQ(refused(whole, budget), ErrorCode::out_of_memory);
  budget.device_map = "auto";
  EXPECT_EQ(refused(whole, budget), ErrorCode::out_of_memory);
  state.erase("fc2.bias");
  EXPECT_EQ(refused(SavedModel(state), {}), ErrorCode::data_loss);
  state["fc2.bias"] = at::zeros({65});
  EXPECT_EQ(refused(SavedModel(state), {}), ErrorCode::data_loss);
}

// Each hook once, in the order of its first call.
struct Recorded {
  std::vector<std::string> hooks;
  Lifecycle::Observer observer() {
    return [this](const std::string& hook) {
      if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) hooks.push_back(hook);
    };
  }
};

// What diffusers 0.42 calls (tests/lifecycle/record_hooks.py), of the hooks that precis has; the
// others are about Python's own way of reading files.
std::vector<std::string> diffusers_order(const std::string& which) {
  std::ifstream file(std::filesystem::path(PRECIS_SOURCE_DIR) /
                     "tests/lifecycle/diffusers_hooks.json");
  const std::set<std::string> python_only{"supports_parallel_loading", "maybe_update_state_dict",
                                          "get_cuda_warm_up_factor"};
  std::vector<std::string> order;
  const auto recorded = nlohmann::json::parse(file);
  for (const std::string hook : recorded.at("orders").at(which)) {
    if (python_only.count(hook) == 0) order.push_back(hook);
  }
  return order;
}

TEST(Hooks, AreCalledInTheOrderOfDiffusers) {
  const auto source = std::make_shared<Block>();
  const SavedModel saved(state_of(*source));
  Recorded plain, budgeted;
  LoadOptions options = on_the_fly("qint8");
  options.observer = plain.observer();
  ASSERT_TRUE(load_model(*empty_block(), saved.component(), test_plugins(), options).ok());
  EXPECT_EQ(plain.hooks, diffusers_order("from_float"));
  options.observer = budgeted.observer();
  options.max_memory = {{"cpu", 1 << 30}};
  ASSERT_TRUE(load_model(*empty_block(), saved.component(), test_plugins(), options).ok());
  EXPECT_EQ(budgeted.hooks, diffusers_order("from_float_with_device_map"));
}

TEST(Hooks, OfAQuantizedCheckpointCheckItsShapesToo) {
  Block source;
  QuantizeOptions quanto;
  quanto.config = "qint8";
  ASSERT_TRUE(quantize(source, quanto, test_plugins()).ok());
  const SavedModel saved(
      state_of(source),
      {{"quantization_config", {{"quant_method", "quanto"}, {"weights_dtype", "int8"}}}});
  Recorded recorded;
  LoadOptions options;
  options.observer = recorded.observer();
  ASSERT_TRUE(load_model(*empty_block(), saved.component(), test_plugins(), options).ok());
  // diffusers checks them where a method overrides the hook, which quanto's does not.
  std::vector<std::string> expected = diffusers_order("pre_quantized");
  expected.insert(std::find(expected.begin(), expected.end(), "create_quantized_param"),
                  "check_quantized_param_shape");
  EXPECT_EQ(recorded.hooks, expected);
}

TEST(Hooks, TheOthersAnswerToo) {
  Recorded recorded;
  const Lifecycle hooks(test_plugins()
                            .from_spec(R"({"quant_method": "bitsandbytes", "load_in_8bit": true,
                                           "llm_int8_skip_modules": ["proj_out"]})",
                                       "diffusers")
                            .value(),
                        false, recorded.observer());
  const Param quantized{"fc.weight", "Linear", DType::f16, {64, 64}, true, nullptr};
  const Param listed{"proj_out.weight", "Linear", DType::f16, {64, 64}, true, nullptr};
  EXPECT_EQ(*hooks.modules_to_not_convert({quantized, listed}),
            std::vector<std::string>{"proj_out"});
  EXPECT_EQ(*hooks.adjust_target_dtype(listed), 64u * 64 * 2);
  EXPECT_LT(*hooks.adjust_target_dtype(quantized), 64u * 64 * 2);
  EXPECT_TRUE(*hooks.check_if_quantized_param(quantized));
  EXPECT_FALSE(*hooks.check_if_quantized_param(listed));
  EXPECT_EQ(*hooks.update_expected_keys({"fc.weight"}), std::vector<std::string>{"fc.weight"});
  EXPECT_TRUE(hooks.update_unexpected_keys({"fc.weight"}).ok());
  EXPECT_TRUE(hooks.is_serializable());
  EXPECT_FALSE(hooks.requires_calibration());
  EXPECT_FALSE(hooks.pre_quantized());
  EXPECT_FALSE(hooks.adjust_max_memory({{"tpu", 1}}).ok());
  EXPECT_LE(hooks.adjust_max_memory({{"cpu", 1000}})->at("cpu"), 1000u);
  Block model;
  EXPECT_EQ(*hooks.dequantize(model), 0u);
}

// Layers of 16 MiB in float32.
struct Tower : torch::nn::Module {
  Tower() {
    for (int i = 0; i < 6; ++i) {
      layers.emplace_back(*this, fmt::format("layer{}", i),
                          torch::nn::Linear(torch::nn::LinearOptions(2048, 2048).bias(false)));
    }
  }
  std::vector<AnyLayer> layers;
};

TEST(LoadModel, HoldsOneFloatWeightBesideTheQuantizedOnes) {
  State state;
  for (int i = 0; i < 6; ++i)
    state[fmt::format("layer{}.weight", i)] = at::empty({2048, 2048}).normal_();
  const SavedModel saved(state);
  state.clear();
  const WithoutWeights without;
  const auto model = std::make_shared<Tower>();
  const PeakMemory memory;
  const auto report = load_model(*model, saved.component(), test_plugins(), on_the_fly("nf4"));
  ASSERT_TRUE(report.ok()) << report.error().text();
  constexpr uint64_t kWeight = 2048 * 2048 * sizeof(float), kSlack = 8 << 20;
  EXPECT_LT(report->bytes, 6 * kWeight / 7);
  EXPECT_LE(memory.growth(), report->bytes + kWeight + kSlack);
}

TEST(LoadModel, UnexpectedTensorsAreReported) {
  Block source;
  State state = state_of(source);
  state["fc3.weight"] = at::zeros({2, 2});
  const auto model = empty_block();
  const auto report = load_model(*model, SavedModel(state).component(), test_plugins(), {});
  ASSERT_TRUE(report.ok()) << report.error().text();
  EXPECT_EQ(report->unexpected, std::vector<std::string>{"fc3.weight"});
}

}  // namespace
}  // namespace precis

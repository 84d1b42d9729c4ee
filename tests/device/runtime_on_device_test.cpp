// LibTorch with a CUDA device: quantize, load and multiply go through the plugin's device kernels.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <torch/nn/modules/linear.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "models/llama/llama_decoder.h"
#include "models/t5/t5_encoder.h"
#include "runtime/loading/load.h"
#include "runtime/modules/any_layer.h"
#include "runtime/modules/onloaded.h"
#include "runtime/modules/without_weights.h"
#include "runtime/offload/device_map.h"
#include "runtime/quantize/quantize.h"
#include "runtime/saving/save.h"
#include "runtime/tensor/device.h"
#include "tests/device/executor_as_cuda.h"

namespace precis {
namespace {

using nlohmann::json;

const at::Device kCuda(at::kCUDA, 0);

struct Method {
  const char* plugin;
  const char* config;
};
constexpr Method kMethods[] = {
    {"bitsandbytes",
     R"({"quant_method": "bitsandbytes", "load_in_4bit": true, "bnb_4bit_quant_type": "nf4"})"},
    {"torchao", R"({"quant_method": "torchao", "quant_type": "int8_weight_only"})"},
    {"torchao", R"({"quant_method": "torchao", "quant_type": "float8_weight_only"})"},
    // Encoded on the CPU, decoded and multiplied on the device.
    {"torchao",
     R"({"quant_method": "torchao", "quant_type": "int8_weight_only",
         "quant_type_kwargs": {"granularity": "tensor"}})"},
};

std::vector<std::string> configs() {
  std::vector<std::string> list;
  for (const Method& method : kMethods)
    if (std::string(method.plugin) == PRECIS_LINKED_PLUGIN) list.emplace_back(method.config);
  return list;
}

struct Block : torch::nn::Module {
  Block()
      : fc1(*this, "fc1", torch::nn::Linear(64, 128)),
        fc2(*this, "fc2", torch::nn::Linear(128, 64)) {}
  torch::Tensor forward(const torch::Tensor& x) { return fc2(at::gelu(fc1(x))); }
  AnyLayer fc1, fc2;
};

std::shared_ptr<Block> half_block() {
  const auto block = std::make_shared<Block>();
  for (at::Tensor& parameter : block->parameters()) parameter.set_requires_grad(false);
  block->to(at::kHalf);
  return block;
}

using State = std::map<std::string, at::Tensor>;

State state_of(const torch::nn::Module& model) {
  State state;
  for (const auto& item : model.named_parameters()) state[item.key()] = item.value().detach();
  for (const auto& item : model.named_buffers()) state[item.key()] = item.value();
  return state;
}

// On the device, bit for bit what the other has on the CPU.
void expect_same_state(const torch::nn::Module& on_device, const torch::nn::Module& on_cpu) {
  const State expected = state_of(on_cpu), found = state_of(on_device);
  ASSERT_EQ(found.size(), expected.size());
  for (const auto& [name, tensor] : expected) {
    ASSERT_TRUE(found.contains(name)) << name;
    EXPECT_EQ(found.at(name).device(), kCuda) << name;
    EXPECT_TRUE(at::equal(found.at(name).cpu().view(at::kByte), tensor.view(at::kByte))) << name;
  }
}

void expect_close(const at::Tensor& on_device, const at::Tensor& on_cpu) {
  EXPECT_EQ(on_device.device(), kCuda);
  EXPECT_EQ(on_device.scalar_type(), on_cpu.scalar_type());
  EXPECT_LE((on_device.cpu().to(at::kFloat) - on_cpu.to(at::kFloat)).abs().max().item<float>(),
            0.01f * on_cpu.abs().max().item<float>());
}

QuantizeOptions as(const std::string& config) {
  QuantizeOptions options;
  options.config = config;
  return options;
}

std::shared_ptr<Block> quantized_on_cpu(const std::shared_ptr<Block>& block,
                                        const std::string& config) {
  const auto done = quantize(*block, as(config), linked_plugin());
  EXPECT_TRUE(done.ok()) << done.error().text();
  return block;
}

class OnDevice : public testing::TestWithParam<std::string> {
  const at::NoGradGuard no_grad_;
};

TEST_P(OnDevice, QuantizesALayerWhereItIs) {
  const auto block = half_block(), source = half_block();
  for (const auto& item : source->named_parameters())
    block->named_parameters()[item.key()].copy_(item.value());
  block->to(kCuda);
  const auto done = quantize(*block, as(GetParam()), linked_plugin());
  ASSERT_TRUE(done.ok()) << done.error().text();
  expect_same_state(*block, *quantized_on_cpu(source, GetParam()));
}

TEST_P(OnDevice, MultipliesByTheMethodsOwnProduct) {
  const auto block = quantized_on_cpu(half_block(), GetParam());
  for (const int64_t rows : {1, 5, 40}) {
    const at::Tensor x = at::randn({rows, 64}).to(at::kHalf);
    block->to(at::kCPU);
    const at::Tensor expected = block->forward(x);
    block->to(kCuda);
    expect_close(block->forward(x.to(kCuda)), expected);
  }
  const auto layer = std::dynamic_pointer_cast<QuantizedLinear>(block->fc1.module());
  ASSERT_NE(layer, nullptr);
  EXPECT_TRUE(layer->has_product(at::kHalf));
  // float32 has no product on a device: rows are decoded.
  EXPECT_FALSE(layer->has_product(at::kFloat));
  const at::Tensor x = at::randn({3, 64});
  const at::Tensor there = layer->forward(x.to(kCuda));
  block->to(at::kCPU);
  expect_close(there, layer->forward(x));
}

// A graph that is captured holds launches: what waits, or is done once, comes before.
TEST_P(OnDevice, APreparedProductMayBeCaptured) {
  const auto block = quantized_on_cpu(half_block(), GetParam());
  block->to(kCuda);
  const at::Tensor x = at::randn({5, 64}).to(at::kHalf).to(kCuda);
  {
    const Capture capture;
    EXPECT_TRUE(place_of(kCuda)->capturing);
    try {
      block->forward(x);
      ADD_FAILURE() << "a product was prepared";
    } catch (const c10::Error& failure) {
      EXPECT_NE(std::string(failure.what()).find("before the capture"), std::string::npos);
    }
  }
  EXPECT_FALSE(place_of(kCuda)->capturing);
  const at::Tensor expected = block->forward(x);
  const Capture capture;
  EXPECT_TRUE(at::equal(block->forward(x).cpu(), expected.cpu()));
}

TEST_P(OnDevice, DequantizesThere) {
  const auto block = quantized_on_cpu(half_block(), GetParam());
  const auto there = quantized_on_cpu(half_block(), GetParam());
  const auto from = state_of(*block);
  for (auto& [name, tensor] : state_of(*there)) tensor.copy_(from.at(name));
  there->to(kCuda);
  ASSERT_TRUE(dequantize(*there).ok());
  ASSERT_TRUE(dequantize(*block).ok());
  expect_same_state(*there, *block);
}

TEST_P(OnDevice, RefusesAnInputFromElsewhere) {
  const auto block = quantized_on_cpu(half_block(), GetParam());
  block->to(kCuda);
  EXPECT_THROW(block->forward(at::randn({1, 64}).to(at::kHalf)), c10::Error);
}

// A model directory, removed again.
class Saved {
 public:
  Saved(const torch::nn::Module& model, const json& config) {
    std::filesystem::create_directories(path_);
    const Status status = save_state_dict(model, path_ / "diffusion_pytorch_model.safetensors");
    if (!status.ok()) throw std::runtime_error(status.error().text());
    std::ofstream(path_ / "config.json") << config.dump();
  }
  ~Saved() { std::filesystem::remove_all(path_); }
  Component component() const {
    auto opened = open_checkpoint(path_);
    if (!opened.ok()) throw std::runtime_error(opened.error().text());
    return opened->components.front();
  }

 private:
  static inline int count_ = 0;
  std::filesystem::path path_ = std::filesystem::temp_directory_path() /
                                fmt::format("precis-device-{}-{}", getpid(), count_++);
};

LoadOptions as_on_cpu(LoadOptions options) {
  options.execution_device.reset();
  return options;
}

std::shared_ptr<Block> loaded(const Component& component, LoadOptions options,
                              const json& device_map) {
  const WithoutWeights without;
  const auto model = std::make_shared<Block>();
  options.device_map = device_map;
  options.dtype = DType::f16;
  const auto report = load_model(*model, component, linked_plugin(), options);
  EXPECT_TRUE(report.ok()) << report.error().text();
  if (device_map == "cuda") {
    EXPECT_EQ(report->mapped_bytes, 0u);
  }
  return model;
}

TEST_P(OnDevice, LoadsStraightToTheDevice) {
  const Saved saved(*half_block(), json::object());
  LoadOptions options;
  options.quantize = as(GetParam());
  const auto there = loaded(saved.component(), options, "cuda");
  expect_same_state(*there, *loaded(saved.component(), options, nullptr));
}

TEST_P(OnDevice, LoadsWhatIsQuantized) {
  if (std::string(PRECIS_LINKED_PLUGIN) != "bitsandbytes")
    GTEST_SKIP() << "the metadata of its files tells the tensors' classes; a state dict has none";
  const auto block = quantized_on_cpu(half_block(), GetParam());
  const Saved saved(*block, {{"quantization_config", json::parse(GetParam())}});
  const auto there = loaded(saved.component(), {}, {{"", 0}});
  expect_same_state(*there, *block);
  const at::Tensor x = at::randn({3, 64}).to(at::kHalf);
  expect_close(there->forward(x.to(kCuda)), block->forward(x));
}

std::map<std::string, at::Device> devices_of(const torch::nn::Module& model) {
  std::map<std::string, at::Device> devices;
  for (const auto& [name, tensor] : state_of(model)) {
    const auto [known, added] = devices.emplace(name.substr(0, name.find('.')), tensor.device());
    EXPECT_EQ(known->second, tensor.device()) << name;
  }
  return devices;
}

using Devices = std::map<std::string, at::Device>;

TEST_P(OnDevice, LayersThatWaitComeForTheirCalls) {
  const Saved saved(*half_block(), json::object());
  LoadOptions options;
  options.quantize = as(GetParam());
  const auto there = loaded(saved.component(), options, "cuda");
  const at::Tensor x = at::randn({5, 64}).to(at::kHalf).to(kCuda);
  for (const char* place : {"cpu", "disk"}) {
    const auto waits = loaded(saved.component(), options, {{"", "cuda"}, {"fc1", place}});
    const Devices between{{"fc1", at::kCPU}, {"fc2", kCuda}};
    EXPECT_EQ(devices_of(*waits), between);
    for (int call = 0; call < 2; ++call) {
      EXPECT_TRUE(at::equal(waits->forward(x).cpu(), there->forward(x).cpu())) << place;
      EXPECT_EQ(devices_of(*waits), between);
    }
    // Tied weights, which are used beside their layer, too.
    EXPECT_TRUE(at::equal(waits->fc1.weight().cpu(), there->fc1.weight().cpu()));
    EXPECT_EQ(waits->fc1.weight().device(), kCuda);
  }
}

TEST_P(OnDevice, ANetworkThatWaitsComesAsAWhole) {
  const Saved saved(*half_block(), json::object());
  LoadOptions options;
  options.quantize = as(GetParam());
  const auto there = loaded(saved.component(), options, "cuda");
  options.execution_device = kCuda;
  options.stream = false;
  const auto waits = loaded(saved.component(), options, "cpu");
  const Devices between{{"fc1", at::kCPU}, {"fc2", at::kCPU}};
  const at::Tensor x = at::randn({5, 64}).to(at::kHalf).to(kCuda);
  EXPECT_THROW(waits->forward(x), c10::Error);
  for (int turn = 0; turn < 2; ++turn) {
    EXPECT_EQ(devices_of(*waits), between);
    const Onloaded onloaded(*waits, Onload::by_network);
    expect_same_state(*waits, *loaded(saved.component(), as_on_cpu(options), nullptr));
    EXPECT_TRUE(at::equal(waits->forward(x).cpu(), there->forward(x).cpu()));
  }
  EXPECT_EQ(devices_of(*waits), between);
}

TEST_P(OnDevice, AutoFillsTheDeviceThenTheMemoryThenTheDisk) {
  const Saved saved(*half_block(), json::object());
  LoadOptions options;
  options.quantize = as(GetParam());
  const auto report = [&](std::map<std::string, uint64_t> budgets) {
    const WithoutWeights without;
    const auto model = std::make_shared<Block>();
    LoadOptions with = options;
    with.dtype = DType::f16;
    with.device_map = "auto";
    with.max_memory = std::move(budgets);
    auto loaded = load_model(*model, saved.component(), linked_plugin(), with);
    EXPECT_TRUE(loaded.ok()) << loaded.error().text();
    return *std::move(loaded);
  };
  const LoadReport whole = report({});
  EXPECT_EQ(whole.memory_bytes + whole.disk_bytes + whole.mapped_bytes, 0u);
  // One byte less: not both layers beside the larger, so that none stays there.
  const LoadReport less = report({{"cuda:0", whole.bytes - 1}});
  EXPECT_EQ(less.memory_bytes, whole.bytes);
  EXPECT_EQ(less.disk_bytes, 0u);
  const LoadReport least = report({{"cuda:0", whole.bytes - 1}, {"cpu", whole.bytes - 1}});
  EXPECT_EQ(least.memory_bytes + least.disk_bytes, whole.bytes);
  EXPECT_GT(least.memory_bytes, 0u);
  EXPECT_GT(least.disk_bytes, 0u);
  // A budget for the CPU alone: no device takes part.
  EXPECT_EQ(report({{"cpu", whole.bytes}}).memory_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Methods, OnDevice, testing::ValuesIn(configs()));

TEST(Devices, AreNamedAsTorchNamesThem) {
  EXPECT_EQ(*usable_device("cuda"), kCuda);
  EXPECT_EQ(*usable_device("cuda:0"), kCuda);
  EXPECT_EQ(usable_device("cuda:1").error().text(),
            "device 'cuda:1': this machine has 1 of them, from cuda:0 on");
  EXPECT_EQ(place_of(kCuda)->device.type, PRECIS_DEVICE_CUDA);
  EXPECT_EQ(place_of(kCuda)->stream, executor_stream());
  EXPECT_EQ(usable_device_names(), (std::vector<std::string>{"cpu", "cuda:0"}));
}

TEST(Devices, WeightsElsewhereWaitForTheOneDevice) {
  const json map{{"", "cuda"}, {"fc1", "cuda:0"}, {"fc2", "cpu"}, {"fc3", "disk"}};
  const auto parsed = DeviceMap::parse(map);
  EXPECT_EQ(parsed->device(), kCuda);
  EXPECT_EQ(*parsed->place_of("fc1.weight"), WeightPlace::device);
  EXPECT_EQ(*parsed->place_of("fc2.weight"), WeightPlace::memory);
  EXPECT_EQ(*parsed->place_of("fc3.weight"), WeightPlace::disk);
  EXPECT_EQ(*DeviceMap::parse("cpu", kCuda)->place_of("fc1.weight"), WeightPlace::memory);
  EXPECT_EQ(DeviceMap::parse("cuda", at::Device(at::kCPU)).error().code(), ErrorCode::unsupported);
  EXPECT_EQ(DeviceMap::parse("auto")->device(), kCuda);
  EXPECT_TRUE(DeviceMap::parse("auto", {}, {{"cpu", 1}})->device().is_cpu());
}

// Networks make what they need beside their weights where their input is.
template <typename Network>
void expect_network_runs(const json& config) {
  const at::NoGradGuard no_grad;
  Network network(config);
  for (at::Tensor& parameter : network.parameters()) {
    parameter.set_requires_grad(false);
    parameter.copy_(0.1 * at::randn(parameter.sizes()));
  }
  const at::Tensor ids = at::arange(1, 9, at::kLong).unsqueeze(0);
  const at::Tensor expected = network.forward(ids);
  network.to(kCuda);
  expect_close(network.forward(ids.to(kCuda)), expected);
}

TEST(Networks, T5RunsOnTheDevice) {
  expect_network_runs<models::T5Encoder>({{"vocab_size", 32},
                                          {"d_model", 16},
                                          {"d_kv", 8},
                                          {"d_ff", 32},
                                          {"num_layers", 2},
                                          {"num_heads", 2}});
}

TEST(Networks, LlamaRunsOnTheDevice) {
  expect_network_runs<models::LlamaDecoder>({{"vocab_size", 32},
                                             {"hidden_size", 16},
                                             {"intermediate_size", 32},
                                             {"num_hidden_layers", 2},
                                             {"num_attention_heads", 2}});
}

}  // namespace
}  // namespace precis

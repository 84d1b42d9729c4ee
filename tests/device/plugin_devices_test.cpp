// The plugins as they are installed: they load without a driver, and a device that cannot be used
// is an answer.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <precis/precis.h>

#include <string>
#include <vector>

namespace precis {
namespace {

struct Answer {
  precis_status status = PRECIS_OK;
  std::string message;
};

precis_call call_to(Answer& answer) {
  precis_call call{};
  call.struct_size = sizeof call;
  call.ctx = &answer;
  call.fail = [](const precis_call* self, precis_status status, precis_str message) {
    *static_cast<Answer*>(self->ctx) = {status, std::string(message.data, message.size)};
  };
  return call;
}

class InstalledPlugin : public testing::TestWithParam<std::pair<const char*, const char*>> {
 protected:
  void SetUp() override {
    const std::string id = GetParam().first;
    const std::string path =
        std::string(PRECIS_BINARY_DIR) + "/lib/precis/plugins/" + id + "/libprecis_" + id + ".so";
    void* library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    const auto* entry =
        static_cast<const precis_plugin_entry*>(dlsym(library, PRECIS_ENTRY_SYMBOL));
    ASSERT_NE(entry, nullptr);
    static const precis_host host{
        sizeof(precis_host),
        PRECIS_ABI_MAJOR,
        PRECIS_ABI_MINOR,
        0,
        nullptr,
        "test",
        "0",
        [](const precis_host*, const char*) -> const void* { return nullptr; }};
    ASSERT_EQ(entry->init(&host, PRECIS_ABI_MINOR, nullptr), PRECIS_OK);
    const auto* factory = static_cast<const precis_quantizer_factory_v1*>(
        entry->get_factory(PRECIS_QUANTIZER_FACTORY_1));
    const std::string config = GetParam().second;
    precis_config request{};
    request.struct_size = sizeof request;
    request.json = {config.data(), config.size()};
    Answer answer;
    const precis_call call = call_to(answer);
    ASSERT_EQ(factory->create(&call, 0, &request, &quantizer_), PRECIS_OK) << answer.message;
  }
  void TearDown() override {
    if (quantizer_ != nullptr) quantizer_->destroy(quantizer_);
  }

  bool lists(int32_t device_type) const {
    const precis_method& method = *quantizer_->method;
    for (uint32_t i = 0; i < method.device_count; ++i)
      if (method.devices[i].type == device_type) return true;
    return false;
  }

  Answer plan(precis_device device) const {
    const int64_t shape[2] = {64, 256};
    precis_param param{};
    param.struct_size = sizeof param;
    param.name = {"a.weight", 8};
    param.dtype = {PRECIS_TYPE_FLOAT, 16, 1};
    param.ndim = 2;
    param.shape = shape;
    std::vector<precis_tensor_spec> specs(32);
    std::vector<precis_tensor_spec*> list;
    for (precis_tensor_spec& spec : specs) {
      spec.struct_size = sizeof spec;
      list.push_back(&spec);
    }
    precis_plan plan{sizeof(precis_plan), 0, list.data(), 32, 0, 0};
    Answer answer;
    const precis_call call = call_to(answer);
    const auto* table = static_cast<const precis_quantize_v1*>(
        quantizer_->get_extension(quantizer_, PRECIS_QUANTIZE_1));
    answer.status = table->plan(quantizer_, &call, device, &param, &plan);
    return answer;
  }

  precis_quantizer* quantizer_ = nullptr;
};

constexpr std::pair<int32_t, const char*> kDevices[] = {{PRECIS_DEVICE_CUDA, "cuda"},
                                                        {PRECIS_DEVICE_ROCM, "rocm"}};

TEST_P(InstalledPlugin, AnswersForADeviceThatCannotBeUsed) {
  EXPECT_EQ(plan({PRECIS_DEVICE_CPU, 0}).status, PRECIS_OK);
  for (const auto& [type, name] : kDevices) {
    const std::string device = std::string(name) + ":1000: ";
    const Answer missing = plan({type, 1000});
    EXPECT_EQ(missing.status, PRECIS_UNSUPPORTED);
    EXPECT_EQ(missing.message.substr(0, device.size()), device);
    const std::string none = device + "this build of the plugin has no kernels for it";
    EXPECT_EQ(missing.message == none, !lists(type)) << missing.message;
  }
}

// Either there is a device, or the runtime says why not: its text, never a crash.
TEST_P(InstalledPlugin, AsksTheDriver) {
  for (const auto& [type, name] : kDevices) {
    if (!lists(type)) continue;
    const Answer answer = plan({type, 0});
    if (answer.status == PRECIS_OK) continue;
    EXPECT_EQ(answer.status, PRECIS_UNSUPPORTED);
    EXPECT_EQ(answer.message.substr(0, 8), std::string(name) + ":0: ") << answer.message;
    EXPECT_GT(answer.message.size(), 12u);
    std::printf("%s\n", answer.message.c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(
    Plugins, InstalledPlugin,
    testing::Values(
        std::pair{"bitsandbytes", R"({"quant_method": "bitsandbytes", "load_in_4bit": true})"},
        std::pair{"gguf", R"({"quant_method": "gguf", "type": "q4_k"})"},
        std::pair{"quanto", R"({"quant_method": "quanto", "weights": "int4"})"},
        std::pair{"hqq", R"({"quant_method": "hqq"})"},
        std::pair{"gptq", R"({"quant_method": "gptq", "bits": 4})"},
        std::pair{"awq", R"({"quant_method": "awq", "bits": 4})"},
        std::pair{"torchao", R"({"quant_method": "torchao", "quant_type": "int8_weight_only"})"},
        std::pair{"fp8", R"({"quant_method": "fp8", "weight_block_size": null})"},
        std::pair{"aqlm", R"({"quant_method": "aqlm"})"},
        std::pair{"vptq", R"({"quant_method": "vptq"})"},
        std::pair{"bitnet", R"({"quant_method": "bitnet"})"},
        std::pair{"eetq", R"({"quant_method": "eetq"})"},
        std::pair{"modelopt", R"({"quant_method": "modelopt", "quant_algo": "FP8"})"},
        std::pair{"quark",
                  R"({"quant_method": "quark", "global_quant_config": {"weight":
                      {"dtype": "int8", "symmetric": true, "qscheme": "per_tensor"}}})"},
        std::pair{"compressed_tensors",
                  R"({"quant_method": "compressed-tensors", "config_groups": {"group_0":
                      {"targets": ["Linear"], "weights": {"num_bits": 8, "type": "int",
                       "strategy": "channel"}}}})"}));

}  // namespace
}  // namespace precis

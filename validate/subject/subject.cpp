#include "validate/subject/subject.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "core/abi/call.h"
#include "registry/plugins/trust.h"
#include "validate/subject/recorded_call.h"

namespace precis::validate {

Result<const precis_plugin_entry*> Subject::open() {
  if (entry_ != nullptr) return entry_;
  PRECIS_ASSIGN(OpenLibrary trusted, open_trusted(manifest_));
  void* library = ::dlopen(trusted.load_path().c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr)
    return Error(ErrorCode::plugin, fmt::format("it cannot be loaded: {}", ::dlerror()));
  trusted.keep_open();
  entry_ = static_cast<const precis_plugin_entry*>(::dlsym(library, PRECIS_ENTRY_SYMBOL));
  if (entry_ == nullptr)
    return Error(ErrorCode::plugin, fmt::format("it does not export {}", PRECIS_ENTRY_SYMBOL));
  return entry_;
}

Status Subject::start(HostKind kind) {
  PRECIS_TRY(open());
  host_ = &TestHost::make(kind);
  std::string why;
  const precis_sink sink = string_sink(why);
  const uint32_t agreed = std::min(entry_->abi_minor, host_->abi().abi_minor);
  if (const precis_status status = entry_->init(&host_->abi(), agreed, &sink); status != PRECIS_OK)
    return Error(ErrorCode::plugin, fmt::format("init gave status {}: {}", status, why));
  factory_ = static_cast<const precis_quantizer_factory_v1*>(
      entry_->get_factory(PRECIS_QUANTIZER_FACTORY_1));
  if (factory_ == nullptr)
    return Error(ErrorCode::plugin, fmt::format("it has no {}", PRECIS_QUANTIZER_FACTORY_1));
  return {};
}

namespace {

// Whether a manifest's entry is for this quantization_config.
bool is_for(const QuantMethodEntry& entry, const nlohmann::json& config) {
  if (config.value("quant_method", nlohmann::json()) != entry.name) return false;
  return std::all_of(entry.when.items().begin(), entry.when.items().end(), [&](const auto& item) {
    return config.contains(item.key()) && config[item.key()] == item.value();
  });
}

}  // namespace

std::vector<Preset> Subject::presets() const {
  std::vector<Preset> presets;
  const auto add = [&](const std::string& name, const std::string& method, const auto& config,
                       uint32_t flags) {
    for (uint32_t i = 0; i < factory_->count(); ++i) {
      if (method == factory_->method(i)->id) presets.push_back({name, i, config, flags});
    }
  };
  if (input_ != nullptr) {
    for (const QuantMethodEntry& entry : manifest_.quant_methods) {
      if (presets.empty() && is_for(entry, input_->config))
        add("input", entry.method, input_->config,
            PRECIS_CONFIG_PRE_QUANTIZED | PRECIS_CONFIG_LENIENT);
    }
    return presets;
  }
  for (const PresetEntry& entry : manifest_.presets) add(entry.name, entry.method, entry.config, 0);
  if (!presets.empty()) return presets;
  for (const QuantMethodEntry& entry : manifest_.quant_methods) {
    nlohmann::json config = entry.when;
    config["quant_method"] = entry.name;
    add(entry.name, entry.method, config, PRECIS_CONFIG_PRE_QUANTIZED);
  }
  std::erase_if(presets, [&](const Preset& preset) { return !Instance::make(*this, preset).ok(); });
  return presets;
}

precis_config config_request(const std::string& text, uint32_t flags) {
  precis_config config{};
  config.struct_size = sizeof config;
  config.flags = flags;
  config.json = to_abi(text);
  return config;
}

Result<std::string> normalized(const Subject& subject, uint32_t method, const std::string& text,
                               uint32_t flags) {
  const precis_config config = config_request(text, flags);
  std::string out;
  const precis_sink sink = string_sink(out);
  const RecordedCall call;
  PRECIS_TRY(call.finish(subject.factory().normalize(call.abi(), method, &config, &sink)));
  return out;
}

Result<Instance> Instance::make(const Subject& subject, uint32_t method, const std::string& text,
                                uint32_t flags) {
  const precis_config config = config_request(text, flags);
  const RecordedCall call;
  Instance instance;
  PRECIS_TRY(call.finish(subject.factory().create(call.abi(), method, &config, &instance.handle_)));
  if (instance.handle_ == nullptr)
    return Error(ErrorCode::plugin, "create gave PRECIS_OK and no quantizer");
  instance.quantize_ = static_cast<const precis_quantize_v1*>(instance.table(PRECIS_QUANTIZE_1));
  instance.loading_ = static_cast<const precis_loading_v1*>(instance.table(PRECIS_LOADING_1));
  instance.linear_ = static_cast<const precis_linear_v1*>(instance.table(PRECIS_LINEAR_1));
  instance.serialize_ = static_cast<const precis_serialize_v1*>(instance.table(PRECIS_SERIALIZE_1));
  instance.calibration_ =
      static_cast<const precis_calibration_v1*>(instance.table(PRECIS_CALIBRATION_1));
  instance.grid_ = static_cast<const precis_grid_v1*>(instance.table(PRECIS_GRID_1));
  if (instance.quantize_ == nullptr)
    return Error(ErrorCode::plugin, fmt::format("it has no {}", PRECIS_QUANTIZE_1));
  return instance;
}

Instance::~Instance() {
  if (handle_ != nullptr) handle_->destroy(handle_);
}

Instance& Instance::operator=(Instance&& other) noexcept {
  std::swap(handle_, other.handle_);
  std::swap(quantize_, other.quantize_);
  std::swap(loading_, other.loading_);
  std::swap(linear_, other.linear_);
  std::swap(serialize_, other.serialize_);
  std::swap(calibration_, other.calibration_);
  std::swap(grid_, other.grid_);
  return *this;
}

}  // namespace precis::validate

// The plugin under test, in the process of one test.
#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "precis/precis.h"
#include "registry/plugins/manifest.h"
#include "validate/subject/input.h"
#include "validate/subject/test_host.h"

namespace precis::validate {

// A preset of the manifest.
struct Preset {
  std::string name;
  uint32_t method = 0;  // index in the factory
  nlohmann::json config;
  uint32_t flags = 0;  // PRECIS_CONFIG_*
};

class Subject {
 public:
  explicit Subject(Manifest manifest) : manifest_(std::move(manifest)) {}

  const Manifest& manifest() const { return manifest_; }

  // Opens the library as precis does: the file that was hashed, every symbol resolved, none shared.
  // Gives the entry, of which only magic and struct_size may be looked at. Errors: plugin.
  Result<const precis_plugin_entry*> open();

  // open(), init and the factory. The host lives on. Errors: plugin.
  Status start(HostKind kind = HostKind::complete);

  TestHost& host() const { return *host_; }
  const precis_plugin_entry& entry() const { return *entry_; }
  const precis_quantizer_factory_v1& factory() const { return *factory_; }

  // A checkpoint to read instead of weights that the presets write; null: none was given.
  void use_input(std::shared_ptr<const InputCheckpoint> input) { input_ = std::move(input); }
  const InputCheckpoint* input() const { return input_.get(); }

  // With an input: its config alone, called "input". Else those of the manifest whose method the
  // factory has. Of a plugin that only reads, and so has none, the shortest config of each
  // quant_method that it takes.
  std::vector<Preset> presets() const;

 private:
  Manifest manifest_;
  std::shared_ptr<const InputCheckpoint> input_;
  const precis_plugin_entry* entry_ = nullptr;
  TestHost* host_ = nullptr;
  const precis_quantizer_factory_v1* factory_ = nullptr;
};

// A config text as the factory is asked to read it.
precis_config config_request(const std::string& text, uint32_t flags = 0);

// What the factory's normalize writes for `text`. Errors: the plugin's.
Result<std::string> normalized(const Subject& subject, uint32_t method, const std::string& text,
                               uint32_t flags = 0);

// A quantizer of a method with its tables. Tables that it lacks are null.
class Instance {
 public:
  static Result<Instance> make(const Subject& subject, uint32_t method, const std::string& config,
                               uint32_t flags = 0);
  static Result<Instance> make(const Subject& subject, const Preset& preset) {
    return make(subject, preset.method, preset.config.dump(), preset.flags);
  }
  ~Instance();
  Instance(Instance&& other) noexcept { *this = std::move(other); }
  Instance& operator=(Instance&& other) noexcept;

  const precis_quantizer* handle() const { return handle_; }
  const precis_method& method() const { return *handle_->method; }
  const void* table(const char* id) const { return handle_->get_extension(handle_, id); }
  const precis_quantize_v1& quantize() const { return *quantize_; }
  const precis_loading_v1* loading() const { return loading_; }
  const precis_linear_v1* linear() const { return linear_; }
  const precis_serialize_v1* serialize() const { return serialize_; }
  const precis_calibration_v1* calibration() const { return calibration_; }
  const precis_grid_v1* grid() const { return grid_; }

 private:
  Instance() = default;

  precis_quantizer* handle_ = nullptr;
  const precis_quantize_v1* quantize_ = nullptr;
  const precis_loading_v1* loading_ = nullptr;
  const precis_linear_v1* linear_ = nullptr;
  const precis_serialize_v1* serialize_ = nullptr;
  const precis_calibration_v1* calibration_ = nullptr;
  const precis_grid_v1* grid_ = nullptr;
};

}  // namespace precis::validate

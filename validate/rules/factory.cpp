// The factory and the methods that it offers.
#include <set>

#include "core/abi/call.h"
#include "core/abi/tables.h"
#include "validate/rules/rule.h"

namespace precis::validate {
namespace {

Verdict whole(Subject& subject) {
  PRECIS_TRY(check_table(&subject.factory(), "plugin", PRECIS_QUANTIZER_FACTORY_1));
  return {};
}

Verdict check_method(const precis_method& method) {
  if (method.struct_size < sizeof(precis_method))
    return violation("struct_size is {}", method.struct_size);
  for (const char* text : {method.id, method.quant_method, method.version}) {
    if (text == nullptr || *text == 0) return violation("id, quant_method or version is missing");
  }
  const std::string_view container = method.container == nullptr ? "" : method.container;
  if (container != "safetensors" && container != "gguf")
    return violation("container is '{}', it must be safetensors or gguf", container);
  if (method.devices == nullptr || method.device_count == 0) return violation("it has no device");
  if (method.extensions == nullptr) return violation("extensions is null");
  return {};
}

Verdict methods(Subject& subject) {
  const precis_quantizer_factory_v1& factory = subject.factory();
  if (factory.count() == 0) return violation("it has no method");
  std::set<std::string> ids;
  for (uint32_t i = 0; i < factory.count(); ++i) {
    const precis_method* method = factory.method(i);
    if (method == nullptr) return violation("method {} is null", i);
    if (Verdict verdict = check_method(*method); verdict.kind() != Verdict::Kind::passed)
      return violation("method {}: {}", i, verdict.text());
    if (!ids.insert(method->id).second) return violation("two methods are called {}", method->id);
  }
  return {};
}

Verdict beyond_the_last(Subject& subject) {
  const precis_quantizer_factory_v1& factory = subject.factory();
  const uint32_t count = factory.count();
  if (factory.method(count) != nullptr) return violation("method({}) is not NULL", count);
  std::string out;
  const precis_sink sink = string_sink(out);
  const std::string text = "{}";
  const precis_config config = config_request(text);
  precis_quantizer* made = nullptr;
  const RecordedCall call;
  if (factory.write_schema(call.abi(), count, {}, &sink) == PRECIS_OK ||
      factory.normalize(call.abi(), count, &config, &sink) == PRECIS_OK ||
      factory.create(call.abi(), count, &config, &made) == PRECIS_OK)
    return violation("write_schema, normalize or create takes index {}, there are {} methods",
                     count, count);
  return {};
}

Verdict manifest(Subject& subject) {
  std::set<std::string> ids;
  for (uint32_t i = 0; i < subject.factory().count(); ++i)
    ids.insert(subject.factory().method(i)->id);
  for (const QuantMethodEntry& entry : subject.manifest().quant_methods) {
    if (!ids.contains(entry.method))
      return violation("quant_methods names the method '{}', which it does not have", entry.method);
  }
  for (const PresetEntry& entry : subject.manifest().presets) {
    if (!ids.contains(entry.method))
      return violation("preset {} names the method '{}', which it does not have", entry.name,
                       entry.method);
  }
  return {};
}

// As a manifest calls it; null for a device that manifests have no name for.
const char* device_name(int32_t type) {
  switch (type) {
    case PRECIS_DEVICE_CPU:
      return "cpu";
    case PRECIS_DEVICE_CUDA:
      return "cuda";
    case PRECIS_DEVICE_ROCM:
      return "hip";
    default:
      return nullptr;
  }
}

Verdict devices(Subject& subject) {
  std::set<std::string> of_methods;
  for (uint32_t i = 0; i < subject.factory().count(); ++i) {
    const precis_method& method = *subject.factory().method(i);
    for (uint32_t k = 0; k < method.device_count; ++k) {
      if (const char* name = device_name(method.devices[k].type)) of_methods.insert(name);
    }
  }
  const std::vector<std::string>& listed = subject.manifest().devices;
  if (listed.empty()) return Verdict::skip("its manifest lists no devices");
  const std::set<std::string> of_manifest(listed.begin(), listed.end());
  if (of_manifest == of_methods) return {};
  return violation("its manifest lists the devices {}, its methods {}",
                   fmt::join(of_manifest, ", "), fmt::join(of_methods, ", "));
}

Verdict capabilities(Subject& subject) {
  std::set<std::string> tables;
  for (uint32_t i = 0; i < subject.factory().count(); ++i) {
    for (const char* const* id = subject.factory().method(i)->extensions; *id != nullptr; ++id)
      tables.insert(*id);
  }
  for (const std::string& capability : subject.manifest().capabilities) {
    if (!tables.contains(capability))
      return violation("its manifest names {}, which no method lists", capability);
  }
  return {};
}

constexpr Rule kRules[] = {
    {"factory.whole", "R8", "no function of the factory is null", whole, true},
    {"factory.methods", "quantizer.h: precis_method", "every method is described completely",
     methods, true},
    {"factory.index", "quantizer.h: precis_quantizer_factory_v1",
     "an index behind the last method is refused", beyond_the_last},
    {"factory.manifest", "L1", "it has the methods that its manifest names", manifest, true},
    {"factory.devices", "L1", "manifest and methods list the same devices", devices},
    {"factory.capabilities", "L1", "it has the tables that its manifest names", capabilities}};

}  // namespace

std::span<const Rule> factory_rules() {
  return kRules;
}

}  // namespace precis::validate

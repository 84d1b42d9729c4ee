// What goes into a saved component beside its tensors.
#include "core/abi/call.h"
#include "core/abi/views.h"
#include "validate/rules/rule.h"
#include "validate/subject/older_host.h"
#include "validate/subject/stored.h"

namespace precis::validate {
namespace {

using nlohmann::json;

using Function = precis_status (*)(const precis_quantizer*, const precis_call*,
                                   const precis_component*, const precis_sink*);

// A component whose only weight is `weight`, saved.
Result<std::string> written(const Instance& instance, const Weight& weight, Function function) {
  const HostParam param(weight.param);
  const precis_param* quantized[] = {param.get()};
  precis_component component{};
  component.struct_size = sizeof component;
  component.library = to_abi("transformers");
  component.class_name = to_abi("T5EncoderModel");
  component.config_json = to_abi("{}");
  component.quantized = quantized;
  component.quantized_count = 1;
  const HostStruct<precis_component> shown(component);
  std::string out;
  const precis_sink sink = string_sink(out);
  const RecordedCall call;
  PRECIS_TRY(call.finish(function(instance.handle(), call.abi(), shown.get(), &sink)));
  return out;
}

Verdict for_each_saved(
    const Subject& subject,
    const std::function<Verdict(const Preset&, const Instance&, const Weight&)>& test) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance& instance) -> Verdict {
    if (instance.serialize() == nullptr) return Verdict::skip("it has no precis.serialize/1");
    const auto weight = fitting_weight(instance);
    if (!weight) return Verdict::skip("no preset of it writes weights");
    return test(preset, instance, *weight);
  });
}

Verdict config(Subject& subject) {
  return for_each_saved(
      subject,
      [&](const Preset& preset, const Instance& instance, const Weight& weight) -> Verdict {
        const auto text = written(instance, weight, instance.serialize()->config);
        if (!text.ok() && text.error().code() == ErrorCode::unsupported) return {};
        if (!text.ok()) return text.error();
        if (text->empty()) return {};
        if (!json::parse(*text, nullptr, false).is_object())
          return violation("the quantization_config that it writes is no JSON object");
        if (instance.loading() == nullptr) return {};
        const auto reader =
            Instance::make(subject, preset.method, *text, PRECIS_CONFIG_PRE_QUANTIZED);
        if (!reader.ok())
          return violation("create refuses the quantization_config that it wrote: {}",
                           reader.error().text());
        PRECIS_ASSIGN(const auto parts, encoded_parts(instance, weight));
        PRECIS_ASSIGN(const auto want, decoded_numbers(instance, weight, parts));
        const auto got = decoded_numbers(*reader, weight, parts);
        if (!got.ok())
          return violation("a quantizer of the config that it wrote cannot decode: {}",
                           got.error().text());
        if (relative_error(*got, want) > 0.01)
          return violation("a quantizer of the config that it wrote decodes other numbers");
        return {};
      });
}

Verdict metadata(Subject& subject) {
  return for_each_saved(
      subject, [](const Preset&, const Instance& instance, const Weight& weight) -> Verdict {
        PRECIS_ASSIGN(const std::string text,
                      written(instance, weight, instance.serialize()->metadata));
        const json object = json::parse(text, nullptr, false);
        if (!object.is_object()) return violation("the metadata is no JSON object");
        const bool gguf = std::string_view(instance.method().container) == "gguf";
        for (const auto& [key, value] : object.items()) {
          if (gguf && !(value.is_object() && value.contains("type") && value.contains("value")))
            return violation("'{}' of the metadata has no type and value", key);
          if (!gguf && !value.is_string())
            return violation("'{}' of the metadata is {}, safetensors holds strings alone", key,
                             value.dump());
        }
        return {};
      });
}

Verdict sidecar_files(Subject& subject) {
  return for_each_saved(
      subject, [](const Preset&, const Instance& instance, const Weight& weight) -> Verdict {
        PRECIS_ASSIGN(const std::string text,
                      written(instance, weight, instance.serialize()->sidecar_files));
        const json object = json::parse(text, nullptr, false);
        if (!object.is_object()) return violation("sidecar_files writes no JSON object");
        for (const auto& [name, content] : object.items()) {
          if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos)
            return violation("the sidecar file '{}' is no plain file name", name);
        }
        return {};
      });
}

Verdict older_host(Subject& subject) {
  return for_each_saved(
      subject, [](const Preset&, const Instance& instance, const Weight& weight) -> Verdict {
        const precis_serialize_v1& table = *instance.serialize();
        for (const Function function : {table.config, table.metadata, table.sidecar_files}) {
          const auto today = written(instance, weight, function);
          doing("precis_component of a host of minor 0");
          const OlderHost older(0);
          const auto then = written(instance, weight, function);
          if (then.ok() != today.ok())
            return violation("with a precis_component of minor 0 it {}",
                             then.ok() ? "does what it refuses today" : then.error().text());
        }
        return {};
      });
}

constexpr Rule kRules[] = {
    {"serialize.config", "ext/serialize.h: config",
     "an object, or nothing; a quantizer of it reads what was written", config},
    {"serialize.metadata", "ext/serialize.h: metadata", "an object as the container holds it",
     metadata},
    {"serialize.sidecar-files", "ext/serialize.h: sidecar_files", "an object of plain file names",
     sidecar_files},
    {"serialize.older-host", "R2", "a precis_component is read as far as its struct_size",
     older_host}};

}  // namespace

std::span<const Rule> serialize_rules() {
  return kRules;
}

}  // namespace precis::validate

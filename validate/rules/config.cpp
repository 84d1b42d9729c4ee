// Schema, normalisation, and quantizers made of configs.
#include "core/abi/call.h"
#include "core/abi/tables.h"
#include "validate/rules/rule.h"

namespace precis::validate {
namespace {

using nlohmann::json;

Verdict schema(Subject& subject) {
  for (uint32_t i = 0; i < subject.factory().count(); ++i) {
    std::string out;
    const precis_sink sink = string_sink(out);
    const RecordedCall call;
    PRECIS_TRY(call.finish(subject.factory().write_schema(call.abi(), i, {}, &sink)));
    const json schema = json::parse(out, nullptr, false);
    const char* id = subject.factory().method(i)->id;
    if (!schema.is_object() || schema.value("type", "") != "object")
      return violation("the schema of {} is no JSON Schema of an object", id);
    const json properties = schema.value("properties", json::object());
    for (const auto& [key, property] : properties.items()) {
      if (!property.is_object() || !property.contains("description") ||
          !property.contains("default"))
        return violation("the schema of {} has no description or no default of '{}'", id, key);
    }
  }
  return {};
}

Verdict create(Subject& subject) {
  return for_each_preset(subject, [](const Preset&, const Instance&) { return Verdict(); });
}

Verdict idempotent(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance&) -> Verdict {
    PRECIS_ASSIGN(const std::string once,
                  normalized(subject, preset.method, preset.config.dump(), preset.flags));
    const json object = json::parse(once, nullptr, false);
    if (!object.is_object()) return violation("normalize writes no JSON object");
    const auto twice = normalized(subject, preset.method, once, preset.flags);
    if (!twice.ok()) return violation("normalize refuses what it wrote: {}", twice.error().text());
    if (json::parse(*twice, nullptr, false) != object)
      return violation("normalized once it is {}, twice {}", once, *twice);
    return {};
  });
}

Verdict refuses(Subject& subject) {
  for (uint32_t i = 0; i < subject.factory().count(); ++i) {
    const std::string deep(100000, '[');
    for (const std::string& text :
         {std::string(), std::string("{"), std::string("[]"), std::string("7"), std::string("null"),
          std::string("\"text\""), std::string("{\"a\":}"), std::string("{\"\xff\": 1}"), deep,
          std::string("\0{}", 3)}) {
      doing(fmt::format("normalize of '{}'", text.substr(0, 40)));
      for (const bool create : {false, true}) {
        const auto made = create ? [&]() -> Status {
          PRECIS_TRY(Instance::make(subject, i, text));
          return {};
        }()
            : [&]() -> Status {
                PRECIS_TRY(normalized(subject, i, text));
                return {};
              }();
        if (made.ok()) {
          return violation("{} takes '{}', which is no object", create ? "create" : "normalize",
                           text.substr(0, 40));
        }
      }
    }
  }
  return {};
}

Verdict unknown_key(Subject& subject) {
  return for_each_preset(subject, [&](const Preset& preset, const Instance&) -> Verdict {
    // The config of a checkpoint may hold what a later version of the library wrote.
    if ((preset.flags & PRECIS_CONFIG_PRE_QUANTIZED) != 0)
      return Verdict::skip("the plugin only reads");
    json config = preset.config;
    config["no_such_option_of_this_method"] = 1;
    if (!normalized(subject, preset.method, config.dump(), preset.flags).ok()) return {};
    return violation("normalize takes an option that does not exist");
  });
}

Verdict tables(Subject& subject) {
  return for_each_preset(subject, [](const Preset&, const Instance& instance) -> Verdict {
    if (instance.table("precis.no-such-table/1") != nullptr)
      return violation("get_extension answers to an id that nobody knows");
    const auto listed = [&](std::string_view id) {
      for (const char* const* item = instance.method().extensions; *item != nullptr; ++item) {
        if (id == *item) return true;
      }
      return false;
    };
    for (const char* id : {PRECIS_QUANTIZE_1, PRECIS_LOADING_1, PRECIS_LINEAR_1, PRECIS_SERIALIZE_1,
                           PRECIS_CALIBRATION_1, PRECIS_GRID_1}) {
      if (listed(id) != (instance.table(id) != nullptr))
        return violation("precis_method.extensions and get_extension disagree about {}", id);
    }
    return {};
  });
}

Verdict whole_tables(Subject& subject) {
  return for_each_preset(subject, [](const Preset&, const Instance& instance) -> Verdict {
    PRECIS_TRY(check_table(&instance.quantize(), "method", PRECIS_QUANTIZE_1));
    PRECIS_TRY(check_table(instance.loading(), "method", PRECIS_LOADING_1));
    PRECIS_TRY(check_table(instance.linear(), "method", PRECIS_LINEAR_1));
    PRECIS_TRY(check_table(instance.serialize(), "method", PRECIS_SERIALIZE_1));
    const auto* grid = static_cast<const precis_grid_v1*>(instance.table(PRECIS_GRID_1));
    PRECIS_TRY(check_table(grid, "method", PRECIS_GRID_1));
    return {};
  });
}

constexpr Rule kRules[] = {
    {"config.schema", "quantizer.h: write_schema",
     "a JSON Schema, with description and default of every key", schema},
    {"config.create", "quantizer.h: create", "every preset of the manifest makes a quantizer",
     create, true},
    {"config.idempotent", "C7", "normalize(normalize(x)) == normalize(x)", idempotent},
    {"config.refuses", "C7", "what is no JSON object is refused", refuses},
    {"config.unknown-key", "C7", "a key that the method does not have is refused", unknown_key},
    {"config.tables", "quantizer.h: precis_method.extensions",
     "get_extension answers to the listed ids and to no other", tables},
    {"config.whole-tables", "R8", "no function of a quantizer's tables is null", whole_tables,
     true}};

}  // namespace

std::span<const Rule> config_rules() {
  return kRules;
}

}  // namespace precis::validate

// What quantization_configs say of integers in groups of columns, each in keys of its own.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace precis {

// As far as a config says it. group_size: -1 for a whole row.
struct IntegerGroups {
  std::optional<int64_t> bits, group_size;
  std::optional<bool> symmetric;  // without zero points
  std::optional<bool> ordered;    // GPTQ's desc_act
  nlohmann::json cache;           // compressed-tensors' kv_cache_scheme; null: none
};

// Of GPTQ, auto-round, AWQ and compressed-tensors, of whose config groups all must say the same.
IntegerGroups integer_groups(const nlohmann::json& config);

// The config of such a method with what it leaves open filled in.
nlohmann::json with_integer_groups(nlohmann::json config, const IntegerGroups& groups);

}  // namespace precis

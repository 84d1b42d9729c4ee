// What a torchao config object (AOBaseConfig) says of one weight, and the object itself as
// torchao 0.18's config_to_dict() writes it.
#pragma once

#include <optional>
#include <precis/options.hpp>

#include "kernels/cpu/activations/activations.h"
#include "kernels/cpu/torchao/torchao.h"

namespace precis::torchao {

enum class TensorClass { int8, int4, int4_tiles, intx, float8 };

// The name of the Python class: "Int8Tensor".
std::string class_name(TensorClass tensor);

struct Scheme {
  TensorClass tensor = TensorClass::int8;
  // Neighbours of a row with one scale; 0: a whole row; -1: the whole weight.
  int64_t group_size = 0;
  kernels::AoCodeRange range{-128, 127};
  kernels::AoMapping mapping = kernels::AoMapping::symmetric;
  kernels::AoCodes float8 = kernels::AoCodes::float8_e4m3fn;
  uint64_t tile_rows = 8;  // int4_tiles: rows are filled up to a multiple of it
  // Products in float8 need both sides in multiples of 16, and bfloat16 with a scale a row.
  bool float8_products = false;
  // How the library rounds activations before a product; nothing: it does not. A scale for the
  // whole tensor depends on what else is in the batch, so such a scheme has no product here.
  std::optional<kernels::ActivationRounding> activations;
  bool whole_activations = false;
  // Attributes of the Python object, apart from block_size, dtype and shape.
  sdk::Json attributes;
};

// torchao bounds int8 scales by float32's epsilon whatever the dtype.
inline float smallest_scale(const Scheme& scheme, kernels::WeightType type) {
  return scheme.tensor == TensorClass::int8 ? 0x1p-23f : kernels::smallest_normal(type);
}

// The object with every default filled in, as Python makes it from a dict. Throws
// PRECIS_INVALID_ARGUMENT, or PRECIS_INVALID_TYPE for what is no object.
sdk::Json normalized_ao_config(const sdk::Json& object);

// Throws PRECIS_UNSUPPORTED for what precis cannot write.
Scheme read_scheme(const sdk::Json& ao_config);

// The object that a name of old ("int8_weight_only", "int8wo", "Int8WeightOnlyConfig") and its
// arguments stand for. Throws PRECIS_INVALID_ARGUMENT for names and arguments that none has.
sdk::Json ao_config_of_name(const std::string& name, const sdk::Json& arguments);

}  // namespace precis::torchao

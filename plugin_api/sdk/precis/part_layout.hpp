// The tensors that a method stores a weight as, and whether those of a checkpoint are such.
#ifndef PRECIS_SDK_PART_LAYOUT_HPP
#define PRECIS_SDK_PART_LAYOUT_HPP

#include <precis/precis.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "stored_module.hpp"
#include "tensor.hpp"

PRECIS_SDK_NAMESPACE_BEGIN

// One tensor of a stored weight.
struct PartLayout {
  std::string_view name;  // relative to the module; static
  precis_dtype dtype;
  std::vector<int64_t> shape;
  // Numbers that a checkpoint may hold in another floating dtype.
  bool any_float = false;
  // Another dtype that some checkpoints hold the same bits in; all zero: none.
  precis_dtype alternative = {};
  // A checkpoint may lack it. Optional parts stand last, and when one is absent those behind it are
  // not looked at.
  bool optional = false;
  // False: found in checkpoints of others, never written. Such parts stand behind the written ones.
  bool written = true;
  // False: the shape does not tell how many elements a checkpoint holds; decode checks the bytes.
  bool counted = true;
  // Goes with the weight, and decoding does without: any of them may be absent, of any dtype and
  // shape. Companions stand behind all other parts and are never written.
  bool companion = false;
};

// A tensor of a quantized activation and the like.
inline PartLayout companion(std::string_view name) {
  PartLayout part{name, {}, {}};
  part.written = false;
  part.companion = true;
  return part;
}

inline bool is_float(precis_dtype dtype) {
  return dtype.code == PRECIS_TYPE_FLOAT || dtype.code == PRECIS_TYPE_BFLOAT ||
         (dtype.code >= PRECIS_TYPE_FLOAT8_E3M4 && dtype.code <= PRECIS_TYPE_FLOAT4_E2M1FN);
}

// What is there in the place of a PartLayout.
struct FoundPart {
  precis_dtype dtype;
  int32_t ndim;
  const int64_t* shape;
};

// Compares `count` parts, found(i) each, with the layout. Throws PRECIS_DATA_LOSS where they are
// not those of it.
template <typename Found>
void compare_parts(const std::vector<PartLayout>& expected, std::size_t count, Found found_at) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const PartLayout& part = expected[i];
    if (part.companion) break;
    if (i >= count) {
      if (part.optional) break;
      throw PluginError(PRECIS_DATA_LOSS, "'" + std::string(part.name) + "' is missing");
    }
    const FoundPart found = found_at(i);
    const bool right_dtype = same(found.dtype, part.dtype) ||
                             (part.any_float && is_float(found.dtype)) ||
                             (part.alternative.bits != 0 && same(found.dtype, part.alternative));
    const uint64_t needed = elements(static_cast<int32_t>(part.shape.size()), part.shape.data());
    const uint64_t stored = elements(found.ndim, found.shape);
    if (right_dtype && (stored == needed || !part.counted)) continue;
    throw PluginError(
        PRECIS_DATA_LOSS,
        "'" + std::string(part.name) + "' " +
            (right_dtype ? "has " + std::to_string(stored) +
                               " elements, the weight's shape needs " + std::to_string(needed)
                         : "has the wrong dtype"));
  }
}

// Bytes of what is written of a weight.
inline uint64_t written_bytes(const std::vector<PartLayout>& layout) {
  uint64_t bytes = 0;
  for (const PartLayout& part : layout) {
    if (!part.written) continue;
    bytes += elements(static_cast<int32_t>(part.shape.size()), part.shape.data()) *
             (part.dtype.bits / 8u);
  }
  return bytes;
}

// Where in the checkpoint the parts of a module's weight stand. Throws PRECIS_DATA_LOSS where one
// is missing.
inline std::vector<uint64_t> stored_parts(const std::vector<PartLayout>& layout,
                                          const StoredModule& module) {
  std::vector<uint64_t> parts;
  bool complete = true;
  for (const PartLayout& part : layout) {
    const int64_t index = module.index(part.name);
    if (!part.companion && index < 0) {
      if (!part.optional) module.at(part.name);
      complete = false;
    }
    if (index >= 0 && (complete || part.companion)) parts.push_back(static_cast<uint64_t>(index));
  }
  return parts;
}

PRECIS_SDK_NAMESPACE_END

#endif

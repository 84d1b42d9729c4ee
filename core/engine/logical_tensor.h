// Weights as the model knows them, whether a checkpoint stores them plainly or quantized.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "core/abi/quantizer.h"
#include "core/checkpoint/checkpoint.h"

namespace precis {

class MethodResolver;

// The parts of a quantized weight as its plugin takes them (LogicalTensor::part_bytes).
struct StoredParts {
  std::vector<PartSpec> specs;
  std::vector<std::span<const std::byte>> buffers;
};

// A weight of a component. Plain: one stored tensor, read as it is. Quantized: the parts of a
// method, which its plugin decodes.
struct LogicalTensor {
  Param param;
  std::shared_ptr<const Quantizer> quantizer;  // null: plain
  struct Part {
    std::shared_ptr<const Container> file;
    const TensorEntry* entry = nullptr;
  };
  std::vector<Part> parts;  // exactly one when plain
  struct Copies {
    std::mutex mutex;
    std::map<std::size_t, std::vector<std::byte>> of_parts;
  };
  std::shared_ptr<Copies> copies = std::make_shared<Copies>();

  bool plain() const { return quantizer == nullptr; }
  uint64_t stored_bytes() const;

  // Decodes rows [row_begin, row_begin + rows) into float32; a tensor without dimensions is one
  // row. Errors: unsupported for dtypes that are not numbers of a weight, data_loss, and the
  // plugin's.
  Status read_rows(int64_t row_begin, int64_t rows, std::span<float> out) const;
  // The same in another floating dtype.
  Status read_rows_as(DType dtype, int64_t row_begin, int64_t rows, std::span<std::byte> out) const;

  // Rows of a plain tensor as they are stored; valid as part_bytes.
  Result<std::span<const std::byte>> stored_rows(int64_t row_begin, int64_t rows) const;

  // The bytes of a part as plugins take them, aligned to the numbers that they are: in the file's
  // memory, or in a copy where they lie at odd places there. Valid until release_source(). [any
  // thread]
  Result<std::span<const std::byte>> part_bytes(std::size_t index) const;
  // What the copies of all parts take.
  uint64_t copied_bytes() const;

  // Of a quantized weight.
  Result<StoredParts> stored_parts() const;

  // Lets go of the pages of the source that reading brought into memory, and of the copies.
  void release_source() const;
};

// The weights of a component in stored order; quantized ones through the plugin of its method.
Result<std::vector<LogicalTensor>> logical_tensors(const Component& component,
                                                   MethodResolver& methods);

// Converts `count` numbers of a floating or float8 dtype to float32. False: not such a dtype.
bool convert_to_float(DType dtype, const std::byte* source, std::size_t count, float* out);
// float32 to f32, f16 or bf16. False: not such a dtype.
bool convert_from_float(const float* source, std::size_t count, DType dtype, std::byte* out);

}  // namespace precis

// A weight made ready for products: precis.linear/1 behind Result and standard types.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "core/abi/quantizer.h"

namespace precis {

// What a product is made for; fixed for the life of a Linear.
struct LinearOptions {
  precis_device device{PRECIS_DEVICE_CPU, 0};
  DType activation = DType::f32;  // of x, bias and y: f32, f16 or bf16
  int64_t max_rows = 1;           // most rows of x in one forward
  // Allows a product that rounds x more than the Python library of the format does, where the
  // method has a faster one (GGUF: to 8 bits in blocks of 32).
  bool may_round_activations = false;
};

struct LinearPlan {
  std::vector<PartSpec> packed;  // tensors in the kernel's layout for the caller to allocate
  uint64_t workspace_bytes = 0;  // that prepare and forward both need
  bool keeps_parts = false;      // forward reads the parts themselves: they outlive the Linear
};

// Immutable; forward may run on several threads at once, each with a workspace of its own.
class Linear {
 public:
  // Whether the quantizer's method has products at all; without them decode rows and multiply.
  static bool available(const Quantizer& quantizer);

  // Error plugin when the parameter, the activation's dtype or the device does not fit the method;
  // the message names the rule.
  static Result<LinearPlan> plan(const Quantizer& quantizer, const LinearOptions& options,
                                 const Param& param);

  // parts: in the order of Quantizer::plan or of stored_params. packed: as planned, allocated by
  // the caller, outlive the result. workspace: 64-byte aligned, of the planned size. All of these
  // are on the device of `options`, which is that of `where`.
  static Result<std::unique_ptr<Linear>> prepare(std::shared_ptr<const Quantizer> quantizer,
                                                 const LinearOptions& options, const Param& param,
                                                 std::span<const precis_tensor* const> parts,
                                                 std::span<precis_tensor* const> packed,
                                                 std::span<std::byte> workspace,
                                                 const Place& where = {});
  ~Linear();
  Linear(const Linear&) = delete;
  Linear& operator=(const Linear&) = delete;

  // y[rows, out_features] = x[rows, in_features] W^T + bias; bias may be null. where: the device
  // that the Linear was prepared for.
  Status forward(const precis_tensor& x, const precis_tensor* bias, precis_tensor& y,
                 std::span<std::byte> workspace, const Place& where = {}) const;

  // Writes the stored parts back, in the order prepare was given them. Only where the plan's
  // keeps_parts is false.
  Status unpack(std::span<precis_tensor* const> parts) const;

 private:
  Linear() = default;
  PluginCall during(const char* doing) const;

  std::shared_ptr<const Quantizer> quantizer_;
  std::string weight_;  // its name
  const precis_linear_v1* table_ = nullptr;
  precis_linear* handle_ = nullptr;
};

}  // namespace precis

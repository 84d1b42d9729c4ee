/* precis.linear/1: y = x W^T + bias with a quantized weight W.
 *
 * The float matrix is never made as a whole. A host without a use for this table, and a host that
 * meets a method without it, decodes rows with precis.quantize/1 and multiplies by itself.
 */
#ifndef PRECIS_EXT_LINEAR_H
#define PRECIS_EXT_LINEAR_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_LINEAR_1 "precis.linear/1"

/* precis_linear_options.flags; unknown bits are ignored. */
enum {
  /* The method may take a faster product that rounds the activations more than the Python library
   * of the format does, such as ggml's, which rounds them to 8 bits in blocks. Without the flag the
   * product's arithmetic is that library's, up to the order and the width of the sums. */
  PRECIS_LINEAR_MAY_ROUND_ACTIVATIONS = 1u << 0
};

/* What a product is made for; fixed for the life of a handle. */
typedef struct precis_linear_options {
  uint32_t struct_size;
  uint32_t flags;
  precis_device device;    /* of the weight, x and y */
  precis_dtype activation; /* of x, bias and y: float32, float16 or bfloat16 */
  uint32_t reserved;
  int64_t max_rows; /* most rows of x in one call of forward; at least 1 */
} precis_linear_options;

/* precis_plan.flags as precis_linear_v1.plan sets them. */
enum {
  /* forward reads the parts given to prepare: they outlive the handle, unmoved and unchanged.
   * Without the flag the host may free them once prepare returned. */
  PRECIS_LINEAR_KEEPS_PARTS = 1u << 0
};

/* A weight made ready for forward. Immutable after prepare. */
typedef struct precis_linear precis_linear;

typedef struct precis_linear_v1 {
  /* The tensors in the kernel's own layout that `prepare` fills, often none, and the workspace that
   * both `prepare` and `forward` need. Pure and cheap. PRECIS_UNSUPPORTED: the parameter, the
   * activation's dtype or the device does not fit; the message names the rule. [any thread] */
  precis_status(PRECIS_CALL* plan)(const precis_quantizer* quantizer, const precis_call* call,
                                   const precis_linear_options* options, const precis_param* param,
                                   precis_plan* out);

  /* Brings the stored form into the kernel's layout. `parts` are contiguous and in the order of
   * precis.quantize/1's plan or of quantized_params; `packed` are as planned, allocated by the
   * host, and outlive the handle, unmoved and unchanged. The structs of both are borrowed for the
   * call all the same, as is the workspace. The caller destroys *out before the quantizer. [any
   * thread] */
  precis_status(PRECIS_CALL* prepare)(const precis_quantizer* quantizer, const precis_call* call,
                                      const precis_linear_options* options,
                                      const precis_param* param, const precis_tensor* const* parts,
                                      uint64_t part_count, precis_tensor* const* packed,
                                      uint64_t packed_count, precis_linear** out);

  /* y[rows, out_features] = x[rows, in_features] times the weight transposed, plus bias. x, bias
   * and y have the planned dtype; rows of x and y are contiguous and may be strided among each
   * other; bias is [out_features], contiguous, or NULL; y overlaps neither x nor bias. rows may be
   * 0 and is at most max_rows. Sums are accumulated in float32 or wider, or exactly in integers.
   * NaN and Inf of x stay in their own row of y. PRECIS_UNSUPPORTED: strides that the kernel does
   * not take; the host copies and calls once more. [any thread, concurrently on one handle] */
  precis_status(PRECIS_CALL* forward)(const precis_linear* linear, const precis_call* call,
                                      const precis_tensor* x, const precis_tensor* bias,
                                      precis_tensor* y);

  /* Writes the stored form back, bit for bit as prepare was given it: `parts` in the same order.
   * Only asked of handles whose plan lacked PRECIS_LINEAR_KEEPS_PARTS. [any thread] */
  precis_status(PRECIS_CALL* unpack)(const precis_linear* linear, const precis_call* call,
                                     precis_tensor* const* parts, uint64_t part_count);

  /* Frees the handle, not its tensors; no call of it is running. [one thread at a time] */
  void(PRECIS_CALL* destroy)(precis_linear* linear);
} precis_linear_v1;

#ifdef __cplusplus
}
#endif

#endif

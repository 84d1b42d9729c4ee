/* precis.quantize/1: plan, encode and decode one parameter. */
#ifndef PRECIS_EXT_QUANTIZE_H
#define PRECIS_EXT_QUANTIZE_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_QUANTIZE_1 "precis.quantize/1"

/* All functions: [any thread], concurrently on one quantizer. */
typedef struct precis_quantize_v1 {
  /* Which tensors `quantize` makes of `param` on `device`, exactly: names, dtypes, shapes, bytes;
   * and the workspace that `quantize` needs. Pure and cheap. PRECIS_UNSUPPORTED: the parameter's
   * dtype or shape does not fit the method; the message names the rule (such as "in_features 100 is
   * not a multiple of the block size 32"). */
  precis_status(PRECIS_CALL* plan)(const precis_quantizer* quantizer, const precis_call* call,
                                   precis_device device, const precis_param* param,
                                   precis_plan* out);

  /* Encodes `weight` (param's dtype and shape, strides 0 and above) into `parts`, which the host
   * allocated as planned, contiguous, in the order of the plan. A stride pattern the plugin does
   * not take: PRECIS_UNSUPPORTED; the host makes the weight contiguous and calls once more. */
  precis_status(PRECIS_CALL* quantize)(const precis_quantizer* quantizer, const precis_call* call,
                                       const precis_param* param, const precis_tensor* weight,
                                       precis_tensor* const* parts, uint64_t part_count);

  /* Decodes rows [row_begin, row_begin + rows of `weight`) of the parameter from its parts, which
   * are contiguous and in the order of the plan or of precis.loading/1's quantized_params. `weight`
   * is contiguous, float32, float16 or bfloat16, and has param's shape but for its first dimension.
   * A 0-dimensional parameter counts as one row. There is no workspace: a weight that was loaded
   * has no plan. PRECIS_DATA_LOSS: the parts contradict each other or param. */
  precis_status(PRECIS_CALL* dequantize)(const precis_quantizer* quantizer, const precis_call* call,
                                         const precis_param* param,
                                         const precis_tensor* const* parts, uint64_t part_count,
                                         int64_t row_begin, precis_tensor* weight);
} precis_quantize_v1;

#ifdef __cplusplus
}
#endif

#endif

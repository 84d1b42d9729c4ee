/* precis.calibration/1: quantizing weights by what reaches them.
 *
 * The host runs the network, block by block, and owns the loop: order, batches, resuming. The
 * plugin gathers statistics of the activation that a layer is fed, in memory that the host
 * allocates and may save, and makes the stored form of the weights with them. It never calls back.
 * Layers that are fed the same activation (queries, keys and values; gate and up) form a group and
 * share one state. A host meeting a method without this table quantizes with precis.quantize/1.
 */
#ifndef PRECIS_EXT_CALIBRATION_H
#define PRECIS_EXT_CALIBRATION_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_CALIBRATION_1 "precis.calibration/1"

/* precis_plan.flags as precis_calibration_v1.plan sets them. */
enum {
  /* `finish` may fill the scales: where the host can divide the activation, it offers them. */
  PRECIS_CALIBRATION_SCALES = 1u << 0
};

/* The weights [out_features, in_features] of the layers that one activation feeds. in_features is
 * the same for all of them. Everything is borrowed for the call. */
typedef struct precis_calibration_group {
  uint32_t struct_size;
  uint32_t flags;
  uint64_t count; /* of params, at least 1 */
  const precis_param* const* params;
  /* What follows is for `finish`; NULL and 0 in `plan`. */
  const precis_tensor* const*
      weights;                 /* [count], each contiguous, of its param's dtype and shape */
  precis_tensor* const* state; /* as planned; `finish` may overwrite it */
  uint64_t state_count;
  precis_tensor* const* const* parts; /* [count][part_counts[i]], as precis.quantize/1 plans them */
  const uint64_t* part_counts;        /* [count] */
  /* float32 [in_features], filled with 1 by the host: the plugin may encode W * diag(scales) in
   * place of each W, and the host divides the activation by it, in what makes the activation.
   * Scales are positive and finite. NULL: the host cannot, the plugin encodes W itself. */
  precis_tensor* scales;
  /* [count], filled by the plugin: the sum of (x (W - W')^T)^2 over all rows x observed, W' the
   * weight that the parts decode to. NaN: not known. */
  double* errors;
} precis_calibration_group;

/* All functions: [any thread], concurrently on one quantizer; `observe` and `finish` by one thread
 * at a time on one state. */
typedef struct precis_calibration_v1 {
  /* The tensors of the group's state and the workspace that both other functions need. Pure and
   * cheap. `device` is where weights, state and activations are; so far hosts keep all of them on
   * the CPU. PRECIS_UNSUPPORTED: a weight does not fit the method; the message names the rule. */
  precis_status(PRECIS_CALL* plan)(const precis_quantizer* quantizer, const precis_call* call,
                                   precis_device device, const precis_calibration_group* group,
                                   precis_plan* out);

  /* Takes rows of the activation [rows, in_features] into the state, which the host zeroed before
   * the first call. Contiguous, float32, float16 or bfloat16. The order of calls does not matter
   * beyond rounding. PRECIS_DATA_LOSS: a NaN or an infinity, which would spoil everything; the
   * state is then as it was. `param`: the group's first. */
  precis_status(PRECIS_CALL* observe)(const precis_quantizer* quantizer, const precis_call* call,
                                      const precis_param* param, const precis_tensor* activation,
                                      precis_tensor* const* state, uint64_t state_count);

  /* Encodes the weights of the group by its state. PRECIS_FAILED_PRECONDITION: nothing was
   * observed. */
  precis_status(PRECIS_CALL* finish)(const precis_quantizer* quantizer, const precis_call* call,
                                     const precis_calibration_group* group);
} precis_calibration_v1;

#ifdef __cplusplus
}
#endif

#endif

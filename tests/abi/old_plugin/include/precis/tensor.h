/* Tensors, parameters and plans, as they cross the ABI.
 *
 * Shapes count logical elements. Everything is borrowed for the call: no function of this ABI hands
 * over the ownership of a tensor.
 */
#ifndef PRECIS_TENSOR_H
#define PRECIS_TENSOR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Same layout as DLTensor of DLPack 0.6 to 1.1. */
typedef struct precis_view {
  void* data;
  precis_device device;
  int32_t ndim;
  precis_dtype dtype;
  int64_t* shape;
  int64_t* strides; /* in elements; always filled in */
  uint64_t byte_offset;
} precis_view;

enum {
  PRECIS_TENSOR_READ_ONLY = 1u << 0,
  PRECIS_TENSOR_ALIGNED_64 = 1u << 1,
  /* A sub-byte number occupies a byte of its own; without the flag element i starts at bit i *
     bits. */
  PRECIS_TENSOR_SUBBYTE_PADDED = 1u << 2
};

typedef struct precis_tensor {
  uint32_t struct_size;
  uint32_t flags;
  precis_view view;
  uint64_t nbytes;
  const char* encoding; /* NULL: plain numbers; otherwise a registered id such as "gguf.q4_k" */
  const char* layout;   /* NULL: row-major; otherwise a registered id such as "awq.gemm/1" */
} precis_tensor;

enum {
  /* precis.calibration/1 will encode the weight: plan may count on statistics of activations. */
  PRECIS_PARAM_CALIBRATED = 1u << 0
};

/* A weight as the model knows it, before or instead of its quantized parts. Unknown flags are
 * ignored. */
typedef struct precis_param {
  uint32_t struct_size;
  uint32_t flags;
  precis_str name; /* full state-dict key, "transformer_blocks.0.attn.to_q.weight" */
  precis_str
      module_kind; /* class of the owning module: "Linear", "Conv2d", "Embedding"; empty: unknown */
  precis_dtype dtype;   /* of the unquantized weight */
  int32_t ndim;         /* -1: the shape is not known */
  const int64_t* shape; /* [out_features, in_features] for a Linear */
  precis_device device;
  /* Importance of each input column, float32 [in_features], or NULL: GGUF's importance matrix. */
  const precis_tensor* importance;
} precis_param;

/* A tensor that the host must allocate, or that a checkpoint holds. */
typedef struct precis_tensor_spec {
  uint32_t struct_size;
  uint32_t flags;
  precis_str
      name; /* relative to the module that owns the parameter: "weight.absmax", "SCB", "qweight" */
  precis_dtype dtype;
  int32_t ndim;
  int64_t shape[8];
  uint64_t nbytes;
  uint32_t alignment; /* of the memory, bytes; 0: the host's 64 */
  uint32_t reserved;
  const char* encoding;
  const char* layout;
} precis_tensor_spec;

/* Answer of every plan function. The host provides `outputs` with `capacity` entries, each with its
 * struct_size set; the plugin fills the first `count`. A plugin that needs more than `capacity`
 * sets `count` to what it needs and returns PRECIS_INVALID_ARGUMENT; the host asks again with more.
 * Names written into a spec live as long as the quantizer. */
typedef struct precis_plan {
  uint32_t struct_size;
  uint32_t flags;
  precis_tensor_spec** outputs;
  uint32_t capacity;
  uint32_t count;
  uint64_t workspace_size; /* bytes of precis_call.workspace that the planned call needs */
} precis_plan;

/* A tensor of a checkpoint, described without its data. */
typedef struct precis_tensor_info {
  uint32_t struct_size;
  uint32_t flags;
  precis_str name; /* full state-dict key */
  precis_dtype dtype;
  int32_t ndim;
  const int64_t* shape;
  uint64_t nbytes;
  const char* encoding;
} precis_tensor_info;

/* The tensors of one component of a checkpoint. */
typedef struct precis_state_dict {
  uint32_t struct_size;
  uint32_t flags;
  void* ctx;
  uint64_t count;
  precis_str metadata_json; /* the container's own metadata, a JSON object; may be empty */

  /* Describes tensor `index` < count; valid as long as the state dict. [any thread] */
  const precis_tensor_info*(PRECIS_CALL* info)(const struct precis_state_dict* state_dict,
                                               uint64_t index);

  /* Index of the tensor called `name`, -1 when there is none. [any thread] */
  int64_t(PRECIS_CALL* find)(const struct precis_state_dict* state_dict, precis_str name);

  /* Writes the bytes of tensor `index` to `out`; for small tensors that describe others. [any
   * thread] */
  precis_status(PRECIS_CALL* read)(const struct precis_state_dict* state_dict, uint64_t index,
                                   const precis_sink* out);
} precis_state_dict;

#ifdef __cplusplus
}
#endif

#endif

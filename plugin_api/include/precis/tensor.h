/* Tensors, parameters and plans, as they cross the ABI.
 *
 * Shapes count logical elements. No function of this ABI hands over the ownership of a tensor: the
 * structs are borrowed for the call, and so is the memory unless a text says that it outlives it.
 */
#ifndef PRECIS_TENSOR_H
#define PRECIS_TENSOR_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Same layout as DLTensor of DLPack 0.6 to 1.1, which is why it points to what nobody changes:
 * callees write to the memory of their outputs and to nothing else of a tensor. */
typedef struct precis_view {
  void* data;
  precis_device device;
  int32_t ndim;
  precis_dtype dtype;
  int64_t* shape;
  int64_t* strides; /* in elements; filled in for every ndim above 0; those of an encoded tensor are
                       of no use */
  uint64_t byte_offset; /* from data to the element of index 0 */
} precis_view;

enum {
  PRECIS_TENSOR_READ_ONLY = 1u << 0,  /* the memory may be mapped so; inputs are never written */
  PRECIS_TENSOR_ALIGNED_64 = 1u << 1, /* the element of index 0 */
  /* A sub-byte number occupies a byte of its own; without the flag element i starts at bit i *
     bits. */
  PRECIS_TENSOR_SUBBYTE_PADDED = 1u << 2
};

typedef struct precis_tensor {
  uint32_t struct_size;
  uint32_t flags;
  precis_view view;
  uint64_t nbytes;      /* of the elements, without gaps between them */
  const char* encoding; /* NULL: plain numbers; otherwise a registered id such as "gguf.q4_k" */
  const char* layout;   /* NULL: row-major; so far nothing else is registered */
} precis_tensor;

enum {
  /* precis.calibration/1 will encode the weight: plan may count on statistics of activations. */
  PRECIS_PARAM_CALIBRATED = 1u << 0,
  /* precis.grid/1 will write the weight: plan may count on a grid that holds its values. */
  PRECIS_PARAM_GRID = 1u << 1
};

/* A weight as the model knows it, before or instead of its quantized parts. */
typedef struct precis_param {
  uint32_t struct_size;
  uint32_t flags;
  precis_str name; /* full state-dict key, "transformer_blocks.0.attn.to_q.weight" */
  precis_str
      module_kind; /* class of the owning module: "Linear", "Conv2d", "Embedding"; empty: unknown */
  precis_dtype dtype;   /* of the unquantized weight */
  int32_t ndim;         /* -1: the shape is not known */
  const int64_t* shape; /* [out_features, in_features] for a Linear; may be NULL for ndim below 1 */
  precis_device device; /* where the model has it; for the call itself the planned device counts */
  /* Importance of each input column, contiguous float32 [in_features] on the CPU, or NULL: GGUF's
   * importance matrix. */
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
  uint32_t alignment; /* of the memory, bytes, a power of two up to 64; 0: 64 */
  uint32_t reserved;
  const char* encoding; /* as of precis_tensor */
  const char* layout;
} precis_tensor_spec;

/* Answer of every plan function. The host provides `outputs` with `capacity` entries, each with its
 * struct_size set; the plugin fills the first `count`, every member that struct_size covers. A
 * plugin that needs more than `capacity` sets `count` to what it needs, writes no entry beyond
 * capacity, and returns PRECIS_INVALID_ARGUMENT; a count above the capacity tells the host to ask
 * again with more. `flags`: see the table. Texts written into a spec live as long as the quantizer.
 */
typedef struct precis_plan {
  uint32_t struct_size;
  uint32_t flags;
  precis_tensor_spec** outputs;
  uint32_t capacity;
  uint32_t count;
  uint64_t workspace_size; /* bytes of precis_call.workspace that the planned calls need */
} precis_plan;

/* A tensor of a checkpoint, described without its data, which nobody has looked at yet: shape and
 * nbytes may contradict each other. */
typedef struct precis_tensor_info {
  uint32_t struct_size;
  uint32_t flags;
  precis_str name; /* full state-dict key */
  precis_dtype dtype;
  int32_t ndim;
  const int64_t* shape;
  uint64_t nbytes;
  const char* encoding; /* as of precis_tensor */
} precis_tensor_info;

/* The tensors of one component of a checkpoint. */
typedef struct precis_state_dict {
  uint32_t struct_size;
  uint32_t flags;
  void* ctx;
  uint64_t count;
  precis_str metadata_json; /* the container's own metadata, a JSON object; may be empty */

  /* Describes tensor `index`; NULL from count on. Valid as long as the state dict. [any thread] */
  const precis_tensor_info*(PRECIS_CALL* info)(const struct precis_state_dict* state_dict,
                                               uint64_t index);

  /* Index of the tensor called `name`, -1 when there is none. [any thread] */
  int64_t(PRECIS_CALL* find)(const struct precis_state_dict* state_dict, precis_str name);

  /* Writes the bytes of tensor `index` to `out`; for small tensors that describe others. A failure
   * is one of the plugin's function, too: PRECIS_DATA_LOSS. [any thread] */
  precis_status(PRECIS_CALL* read)(const struct precis_state_dict* state_dict, uint64_t index,
                                   const precis_sink* out);
} precis_state_dict;

#ifdef __cplusplus
}
#endif

#endif

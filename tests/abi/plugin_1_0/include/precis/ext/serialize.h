/* precis.serialize/1: what goes into a saved component beside its tensors. */
#ifndef PRECIS_EXT_SERIALIZE_H
#define PRECIS_EXT_SERIALIZE_H

#include "../quantizer.h"

#ifdef __cplusplus
extern "C" {
#endif

#define PRECIS_SERIALIZE_1 "precis.serialize/1"

/* A component about to be written: a model of a pipeline, or a lone model. */
typedef struct precis_component {
  uint32_t struct_size;
  uint32_t flags;
  precis_str name;                      /* "transformer"; empty for a lone model */
  precis_str library;                   /* "diffusers", "transformers" or empty */
  precis_str class_name;                /* "FluxTransformer2DModel"; empty: unknown */
  precis_str config_json;               /* its config.json; may be empty */
  const precis_param* const* quantized; /* the parameters this method quantizes */
  uint64_t quantized_count;
  const precis_param* const* kept; /* Linear weights left as numbers */
  uint64_t kept_count;
  const precis_param* const* others; /* everything else the component is written with */
  uint64_t others_count;
} precis_component;

/* All functions: [any thread]. The outputs are JSON. */
typedef struct precis_serialize_v1 {
  /* The quantization_config object for the component's config.json, as the Python library saves it,
   * with the modules of `kept` listed as not converted where the library needs that to load the
   * component. Two quantizers whose results may stand in one component write the same object for
   * it. Empty output: config.json stays as it is. PRECIS_UNSUPPORTED: the library's config cannot
   * express this choice. */
  precis_status(PRECIS_CALL* config)(const precis_quantizer* quantizer, const precis_call* call,
                                     const precis_component* component, const precis_sink* out);

  /* Metadata of the container's header. For "safetensors" an object of strings; for "gguf" an
   * object whose values are {"type": GGUF value type name, "value": ...}. */
  precis_status(PRECIS_CALL* metadata)(const precis_quantizer* quantizer, const precis_call* call,
                                       const precis_component* component, const precis_sink* out);

  /* Further files of the component, an object: file name to JSON content. Usually "{}". */
  precis_status(PRECIS_CALL* sidecar_files)(const precis_quantizer* quantizer,
                                            const precis_call* call,
                                            const precis_component* component,
                                            const precis_sink* out);
} precis_serialize_v1;

#ifdef __cplusplus
}
#endif

#endif

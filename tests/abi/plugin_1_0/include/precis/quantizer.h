/* Methods, the quantizers made of them, and the factory that a plugin provides. */
#ifndef PRECIS_QUANTIZER_H
#define PRECIS_QUANTIZER_H

#include "call.h"
#include "tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

enum {
  PRECIS_METHOD_NEEDS_CALIBRATION = 1u << 0, /* cannot quantize from weights alone */
  PRECIS_METHOD_SERIALIZABLE = 1u << 1,      /* what it makes can be saved and loaded again */
  PRECIS_METHOD_TRAINABLE = 1u << 2,
  PRECIS_METHOD_COMPILEABLE = 1u << 3,
  PRECIS_METHOD_CAPTURE_SAFE = 1u << 4, /* forward never allocates or synchronises */
  /* quantize depends on precis_param.importance; hosts give none to other methods */
  PRECIS_METHOD_USES_IMPORTANCE = 1u << 5
};

/* A quantization method. Static, texts and lists included: valid as long as the process, and always
 * the same. */
typedef struct precis_method {
  uint32_t struct_size;
  uint32_t flags;
  const char* id;               /* unique in the plugin: "bitsandbytes_4bit" */
  const char* quant_method;     /* as config.json spells it: "bitsandbytes" */
  const char* version;          /* of the plugin's implementation */
  const char* container;        /* file format its tensors are stored in: "safetensors" or "gguf" */
  const precis_device* devices; /* {type, -1} for every device of that type */
  uint32_t device_count;
  uint32_t reserved;
  const char* const* extensions; /* ids of the tables get_extension has, with NULL at the end */
} precis_method;

enum {
  /* What the Python library does silently is a warning instead of an error. */
  PRECIS_CONFIG_LENIENT = 1u << 0,
  /* The config comes from a checkpoint that is already quantized. */
  PRECIS_CONFIG_PRE_QUANTIZED = 1u << 1,
  /* Read it as the Python library reads it, to the type of every value. Without the flag the
   * method's own options are allowed too, and 6 does for 6.0. */
  PRECIS_CONFIG_PYTHON = 1u << 2
};

/* A quantization_config and the rules it is to be read by. */
typedef struct precis_config {
  uint32_t struct_size;
  uint32_t flags;
  precis_str json;            /* the object, exactly as the user or the checkpoint wrote it */
  precis_str library;         /* of the model it is for: "diffusers", "transformers", or empty */
  precis_str library_version; /* empty: the version the plugin documents; "4.48" for an older one */
} precis_config;

typedef struct precis_quantizer precis_quantizer;

/* A method with its configuration. Made by the factory, immutable until destroyed. It does not
 * grow: more comes as a table. */
struct precis_quantizer {
  const precis_method* method;
  void* impl; /* the plugin's own */
  /* Frees the quantizer. Nothing made from it is used afterwards, and no call of it is running.
   * [one thread at a time] */
  void(PRECIS_CALL* destroy)(precis_quantizer* quantizer);
  /* The table with this id, or NULL; valid as long as the quantizer. [any thread] */
  const void*(PRECIS_CALL* get_extension)(const precis_quantizer* quantizer, const char* id);
};

#define PRECIS_QUANTIZER_FACTORY_1 "precis.quantizer-factory/1"

/* All functions: [any thread]. */
typedef struct precis_quantizer_factory_v1 {
  /* How many methods there are; always the same. */
  uint32_t(PRECIS_CALL* count)(void);

  /* Method `index`; NULL from count on. In the functions below such an index is PRECIS_NOT_FOUND.
   */
  const precis_method*(PRECIS_CALL* method)(uint32_t index);

  /* JSON Schema 2020-12 of the method's config, with "default" and "description" of every key, as
   * the library named by `library` knows them (empty: precis' own, the union). */
  precis_status(PRECIS_CALL* write_schema)(const precis_call* call, uint32_t index,
                                           precis_str library, const precis_sink* out);

  /* The canonical config object with every default filled in: what the Python library's to_dict()
   * gives. normalize(normalize(x)) == normalize(x). Errors: PRECIS_INVALID_ARGUMENT,
   * PRECIS_INVALID_TYPE, PRECIS_UNSUPPORTED, PRECIS_FAILED_PRECONDITION, each naming the key. */
  precis_status(PRECIS_CALL* normalize)(const precis_call* call, uint32_t index,
                                        const precis_config* config, const precis_sink* out);

  /* A quantizer for `config`; the caller destroys it. Errors as normalize. */
  precis_status(PRECIS_CALL* create)(const precis_call* call, uint32_t index,
                                     const precis_config* config, precis_quantizer** out);
} precis_quantizer_factory_v1;

#ifdef __cplusplus
}
#endif

#endif

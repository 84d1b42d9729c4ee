/* A plugin that breaks no rule: the C template, with products, a saved config, a calibration and
 * grids. A fault includes this, defines a function that is wrong in one way, names it in a FAULT_*
 * macro, and includes tables.h. */
#define precis_plugin_entry_v1 sound_entry
#include "plugin_api/template/c/plugin.c"
#undef precis_plugin_entry_v1

#include <stdlib.h>

struct product {
  const int8_t* codes; /* in the packed tensors */
  const float* scales;
  int64_t rows, columns;
};

static precis_status plan_product(const precis_quantizer* quantizer, const precis_call* call,
                                  const precis_linear_options* options, const precis_param* param,
                                  precis_plan* out) {
  (void)options;
  return plan(quantizer, call, kDevices[0], param, out); /* a copy of the parts */
}

static precis_status prepare(const precis_quantizer* quantizer, const precis_call* call,
                             const precis_linear_options* options, const precis_param* param,
                             const precis_tensor* const* parts, uint64_t part_count,
                             precis_tensor* const* packed, uint64_t packed_count,
                             precis_linear** out) {
  (void)quantizer, (void)options;
  if (part_count != packed_count || parts[0]->nbytes != packed[0]->nbytes ||
      parts[1]->nbytes != packed[1]->nbytes)
    return precis_fail(call, PRECIS_DATA_LOSS, "the parts are not those of the weight");
  for (uint64_t i = 0; i < part_count; ++i)
    memcpy(precis_data(packed[i]), precis_data(parts[i]), parts[i]->nbytes);
  struct product* made = malloc(sizeof *made);
  made->codes = (const int8_t*)precis_data(packed[0]);
  made->scales = (const float*)precis_data(packed[1]);
  made->rows = param->shape[0];
  made->columns = param->shape[1];
  *out = (precis_linear*)made;
  return PRECIS_OK;
}

static void multiply_row(const struct product* product, const precis_tensor* x,
                         const precis_tensor* bias, precis_tensor* y, int64_t row) {
  const precis_dtype dtype = x->view.dtype;
  const int64_t size = dtype.bits / 8;
  const unsigned char* in = precis_data(x) + row * x->view.strides[0] * size;
  for (int64_t o = 0; o < product->rows; ++o) {
    double sum = bias == NULL ? 0 : precis_load(dtype, precis_data(bias) + o * size);
    for (int64_t i = 0; i < product->columns; ++i)
      sum += (double)precis_load(dtype, in + i * size) *
             ((float)product->codes[o * product->columns + i] * product->scales[o]);
    precis_store(dtype, (float)sum, precis_data(y) + (row * y->view.strides[0] + o) * size);
  }
}

static precis_status forward(const precis_linear* linear, const precis_call* call,
                             const precis_tensor* x, const precis_tensor* bias, precis_tensor* y) {
  (void)call;
  for (int64_t row = 0; row < x->view.shape[0]; ++row)
    multiply_row((const struct product*)linear, x, bias, y, row);
  return PRECIS_OK;
}

static precis_status unpack(const precis_linear* linear, const precis_call* call,
                            precis_tensor* const* parts, uint64_t part_count) {
  const struct product* product = (const struct product*)linear;
  (void)call, (void)part_count;
  memcpy(precis_data(parts[0]), product->codes, parts[0]->nbytes);
  memcpy(precis_data(parts[1]), product->scales, parts[1]->nbytes);
  return PRECIS_OK;
}

static void destroy_product(precis_linear* linear) {
  free(linear);
}

static precis_status write_config(const precis_quantizer* quantizer, const precis_call* call,
                                  const precis_component* component, const precis_sink* out) {
  (void)quantizer, (void)call, (void)component;
  out->write(out->ctx, kConfig, sizeof kConfig - 1);
  return PRECIS_OK;
}

static precis_status write_nothing(const precis_quantizer* quantizer, const precis_call* call,
                                   const precis_component* component, const precis_sink* out) {
  (void)quantizer, (void)call, (void)component;
  out->write(out->ctx, "{}", 2);
  return PRECIS_OK;
}

#include "sound_calibration.h"
#include "sound_grid.h"

/* The calibration of the sound plugin: X^T X of what was observed, for the error of the outputs;
 * the weights themselves are rounded to nearest. */
static precis_status plan_state(const precis_quantizer* quantizer, const precis_call* call,
                                precis_device device, const precis_calibration_group* group,
                                precis_plan* out) {
  (void)quantizer;
  if (device.type != PRECIS_DEVICE_CPU)
    return precis_fail(call, PRECIS_UNSUPPORTED, "only the CPU is supported");
  for (uint64_t i = 0; i < group->count; ++i) {
    const precis_status status = check_param(call, group->params[i]);
    if (status != PRECIS_OK) return status;
  }
  if (!precis_begin_plan(out, 2))
    return precis_fail(call, PRECIS_INVALID_ARGUMENT, "the state has two tensors");
  const int64_t columns = group->params[0]->shape[1], moments[2] = {columns, columns},
                rows[1] = {1};
  precis_describe(out->outputs[0], "moments", kFloat32, 2, moments);
  precis_describe(out->outputs[1], "rows", kFloat32, 1, rows);
  return PRECIS_OK;
}

static float activation_at(const precis_tensor* activation, int64_t row, int64_t column) {
  const precis_view* view = &activation->view;
  return precis_load(view->dtype, precis_data(activation) +
                                      (row * view->shape[1] + column) * (view->dtype.bits / 8));
}

static int all_finite(const precis_tensor* activation) {
  for (int64_t row = 0; row < activation->view.shape[0]; ++row) {
    for (int64_t i = 0; i < activation->view.shape[1]; ++i) {
      const float value = activation_at(activation, row, i);
      if (!(value >= -FLT_MAX && value <= FLT_MAX)) return 0;
    }
  }
  return 1;
}

static void add_rows(const precis_tensor* activation, precis_tensor* const* state) {
  const int64_t columns = activation->view.shape[1];
  float* moments = (float*)precis_data(state[0]);
  float* values = malloc((size_t)columns * sizeof(float));
  for (int64_t row = 0; row < activation->view.shape[0]; ++row) {
    for (int64_t i = 0; i < columns; ++i) values[i] = activation_at(activation, row, i);
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t j = 0; j < columns; ++j) moments[i * columns + j] += values[i] * values[j];
  }
  free(values);
  *(float*)precis_data(state[1]) += (float)activation->view.shape[0];
}

static precis_status observe(const precis_quantizer* quantizer, const precis_call* call,
                             const precis_param* param, const precis_tensor* activation,
                             precis_tensor* const* state, uint64_t state_count) {
  (void)quantizer, (void)param, (void)state_count;
  if (!all_finite(activation))
    return precis_fail(call, PRECIS_DATA_LOSS, "the activation has a NaN or an infinity");
  add_rows(activation, state);
  return PRECIS_OK;
}

static double output_error(const precis_param* param, const precis_tensor* weight,
                           precis_tensor* const* parts, const float* moments) {
  const int64_t columns = param->shape[1], size = param->dtype.bits / 8;
  double* off = malloc((size_t)columns * sizeof(double));
  double sum = 0;
  for (int64_t row = 0; row < param->shape[0]; ++row) {
    const int8_t* codes = (const int8_t*)precis_data(parts[0]) + row * columns;
    const float scale = ((const float*)precis_data(parts[1]))[row];
    for (int64_t i = 0; i < columns; ++i)
      off[i] = (double)precis_load(param->dtype, precis_data(weight) + (row * columns + i) * size) -
               (float)codes[i] * scale;
    for (int64_t i = 0; i < columns; ++i) {
      double inner = 0;
      for (int64_t j = 0; j < columns; ++j) inner += moments[i * columns + j] * off[j];
      sum += inner * off[i];
    }
  }
  free(off);
  return sum;
}

static precis_status finish(const precis_quantizer* quantizer, const precis_call* call,
                            const precis_calibration_group* group) {
  if (*(const float*)precis_data(group->state[1]) == 0)
    return precis_fail(call, PRECIS_FAILED_PRECONDITION, "nothing was observed");
  for (uint64_t i = 0; i < group->count; ++i) {
    const precis_status status = quantize(quantizer, call, group->params[i], group->weights[i],
                                          group->parts[i], group->part_counts[i]);
    if (status != PRECIS_OK) return status;
    group->errors[i] = output_error(group->params[i], group->weights[i], group->parts[i],
                                    (const float*)precis_data(group->state[0]));
  }
  return PRECIS_OK;
}

/* The grids of the sound plugin: a scale for each row, and no zero points. */
static precis_status plan_grid(const precis_quantizer* quantizer, const precis_call* call,
                               precis_device device, const precis_param* param, precis_plan* out) {
  (void)quantizer;
  if (device.type != PRECIS_DEVICE_CPU)
    return precis_fail(call, PRECIS_UNSUPPORTED, "only the CPU is supported");
  const precis_status status = check_param(call, param);
  if (status != PRECIS_OK) return status;
  if (!precis_begin_plan(out, 3))
    return precis_fail(call, PRECIS_INVALID_ARGUMENT, "the grid has three tensors");
  const precis_dtype kInt32 = {PRECIS_TYPE_INT, 32, 1};
  const int64_t scales[2] = {param->shape[0], 1};
  precis_describe(out->outputs[0], "scales", kFloat32, 2, scales);
  precis_describe(out->outputs[1], "row_tiles", kInt32, 1, param->shape);
  precis_describe(out->outputs[2], "column_tiles", kInt32, 1, param->shape + 1);
  return PRECIS_OK;
}

static precis_status read_grid(const precis_quantizer* quantizer, const precis_call* call,
                               const precis_param* param, const precis_tensor* const* parts,
                               uint64_t part_count, precis_tensor* const* grid,
                               uint64_t grid_count) {
  (void)quantizer;
  if (part_count != 2 || grid_count != 3 || parts[1]->nbytes != grid[0]->nbytes)
    return precis_fail(call, PRECIS_DATA_LOSS, "the parts are not those of the weight");
  memcpy(precis_data(grid[0]), precis_data(parts[1]), parts[1]->nbytes);
  for (int64_t i = 0; i < param->shape[0]; ++i) ((int32_t*)precis_data(grid[1]))[i] = (int32_t)i;
  for (int64_t i = 0; i < param->shape[1]; ++i) ((int32_t*)precis_data(grid[2]))[i] = 0;
  return PRECIS_OK;
}

/* The scale that all columns of a row share; 0: there is none. */
static float shared_scale(const precis_param* param, const precis_tensor* const* grid,
                          int64_t row) {
  const int64_t down = grid[0]->view.shape[0], across = grid[0]->view.shape[1];
  const int32_t i = ((const int32_t*)precis_data(grid[1]))[row];
  const int32_t* columns = (const int32_t*)precis_data(grid[2]);
  float scale = 0;
  for (int64_t k = 0; k < param->shape[1]; ++k) {
    if (i < 0 || i >= down || columns[k] < 0 || columns[k] >= across) return 0;
    const float other = ((const float*)precis_data(grid[0]))[i * across + columns[k]];
    if (k > 0 && other != scale) return 0;
    scale = other;
  }
  return scale;
}

static int8_t code_of(float value, float scale) {
  const float code = value / scale;
  return (int8_t)(code < 0 ? code - 0.5f : code + 0.5f);
}

static precis_status write_grid(const precis_quantizer* quantizer, const precis_call* call,
                                const precis_param* param, const precis_tensor* weight,
                                const precis_tensor* const* grid, uint64_t grid_count,
                                precis_tensor* const* parts, uint64_t part_count) {
  (void)quantizer, (void)part_count;
  if (grid_count != 3)
    return precis_fail(call, PRECIS_UNSUPPORTED, "its codes are symmetric about 128");
  const int64_t columns = param->shape[1], size = param->dtype.bits / 8;
  for (int64_t row = 0; row < param->shape[0]; ++row) {
    const float scale = shared_scale(param, grid, row);
    if (!(scale > 0)) return precis_fail(call, PRECIS_UNSUPPORTED, "a row must have one scale");
    ((float*)precis_data(parts[1]))[row] = scale;
    for (int64_t k = 0; k < columns; ++k) {
      const float value =
          precis_load(param->dtype, precis_data(weight) + (row * columns + k) * size);
      if (!(value / scale > -127.5f && value / scale < 127.5f))
        return precis_fail(call, PRECIS_UNSUPPORTED, "a value is no code of 8 bits");
      ((int8_t*)precis_data(parts[0]))[row * columns + k] = code_of(value, scale);
    }
  }
  return PRECIS_OK;
}

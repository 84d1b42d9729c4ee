/* A method on CUDA devices of which the manifest knows nothing. */
#include "sound.h"

static precis_status plan_anywhere(const precis_quantizer* quantizer, const precis_call* call,
                                   precis_device device, const precis_param* param,
                                   precis_plan* out) {
  if (device.type == PRECIS_DEVICE_CUDA) device.type = PRECIS_DEVICE_CPU;
  return plan(quantizer, call, device, param, out);
}
static const precis_device kMoreDevices[] = {{PRECIS_DEVICE_CPU, -1}, {PRECIS_DEVICE_CUDA, -1}};
#define FAULT_PLAN plan_anywhere
#define FAULT_DEVICES kMoreDevices
#define FAULT_DEVICE_COUNT 2
#include "tables.h"

/* Plans for CUDA devices and lists the CPU alone. */
#include "sound.h"

static precis_status wrong(const precis_quantizer* quantizer, const precis_call* call,
                           precis_device device, const precis_param* param, precis_plan* out) {
  if (device.type == PRECIS_DEVICE_CUDA) device.type = PRECIS_DEVICE_CPU;
  return plan(quantizer, call, device, param, out);
}
#define FAULT_PLAN wrong
#include "tables.h"

/* Lists CUDA devices and plans for none, whatever the machine has. */
#include "sound.h"

static const precis_device kMoreDevices[] = {{PRECIS_DEVICE_CPU, -1}, {PRECIS_DEVICE_CUDA, -1}};
#define FAULT_DEVICES kMoreDevices
#define FAULT_DEVICE_COUNT 2
#include "tables.h"

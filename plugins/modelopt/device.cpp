#include "plugins/modelopt/quantizer.h"
#include "plugins/scaled_back_end.h"

PRECIS_DEVICE_METHOD(modelopt::ModelOptQuantizer, ScaledBackEnd<modelopt::ModelOptQuantizer>)

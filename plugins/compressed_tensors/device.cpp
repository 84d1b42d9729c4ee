#include "plugins/compressed_tensors/quantizer.h"
#include "plugins/scaled_back_end.h"

PRECIS_DEVICE_METHOD(compressed_tensors::CompressedTensorsQuantizer,
                     ScaledBackEnd<compressed_tensors::CompressedTensorsQuantizer>)

#include "plugins/quark/quantizer.h"
#include "plugins/scaled_back_end.h"

PRECIS_DEVICE_METHOD(quark::QuarkQuantizer, ScaledBackEnd<quark::QuarkQuantizer>)

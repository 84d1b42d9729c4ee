/* Every stable header of the precis plugin ABI. */
#ifndef PRECIS_H
#define PRECIS_H

#include "base.h"
#include "call.h"
#include "entry.h"
#include "ext/calibration.h"
#include "ext/grid.h"
#include "ext/linear.h"
#include "ext/loading.h"
#include "ext/quantize.h"
#include "ext/serialize.h"
#include "host.h"
#include "quantizer.h"
#include "tensor.h"

#endif

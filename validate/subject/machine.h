// The devices of this machine.
#pragma once

#include <cstdint>

namespace precis::validate {

// How many devices of a type (precis_device) the driver knows; 0 where there is no driver. Opens it
// at the first call.
uint32_t devices_here(int32_t type);

}  // namespace precis::validate

// The back ends that this build of the self-test holds.
#pragma once

#include <string>
#include <vector>

#include "kernels/selftest/checks.h"
#include "kernels/selftest/report.h"

namespace precis::kernels {

struct SelftestBackend {
  std::string name;  // of --device
  CheckSize size;
  // The device's name; throws std::runtime_error when there is none, with the runtime's reason.
  std::string (*device_name)();
  std::vector<Check> (*checks)(CheckSize size);
  // Null where time means nothing, or nobody has written them.
  std::vector<Speed> (*speeds)();
};

namespace device_simt {
SelftestBackend selftest_backend();
}
namespace device_cuda {
SelftestBackend selftest_backend();
}
namespace device_hip {
SelftestBackend selftest_backend();
}

}  // namespace precis::kernels

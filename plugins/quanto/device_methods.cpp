#include "plugins/quanto/device.h"

namespace precis::quanto {

const std::vector<const DeviceMethods*>& device_methods() {
  static const std::vector<const DeviceMethods*> list {
#if defined(PRECIS_PLUGIN_CUDA)
    &device_cuda::methods(),
#endif
#if defined(PRECIS_PLUGIN_EXECUTOR)
        &device_simt::methods(),
#endif
  };
  return list;
}

}  // namespace precis::quanto

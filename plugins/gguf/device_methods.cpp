#include "plugins/device.h"
#include "plugins/gguf/device.h"

namespace precis::gguf {

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

const DeviceMethods& device_methods(precis_device device, std::string_view type) {
  const DeviceMethods& found = plugins::usable_device(device_methods(), device);
  if (found.knows(type)) return found;
  throw sdk::PluginError(PRECIS_UNSUPPORTED, plugins::device_name(device) +
                                                 ": there are kernels for q8_0, q4_0 and q4_k, not "
                                                 "for " +
                                                 std::string(type));
}

}  // namespace precis::gguf

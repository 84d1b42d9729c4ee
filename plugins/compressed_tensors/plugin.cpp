#include "plugins/compressed_tensors/quantizer.h"
#include "plugins/device.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      make_method<plugins::WeightsOnDevices<compressed_tensors::CompressedTensorsQuantizer>>(
          plugins::on_devices<compressed_tensors::CompressedTensorsQuantizer>(describe(
              "compressed-tensors", "compressed-tensors", PRECIS_PLUGIN_VERSION, "safetensors",
              PRECIS_METHOD_SERIALIZABLE, Products::linear, Calibrated::no, Grids::yes)),
          compressed_tensors::options, compressed_tensors::read_config)};
  return list;
}

PRECIS_PLUGIN()

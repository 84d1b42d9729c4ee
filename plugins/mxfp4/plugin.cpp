#include "plugins/device.h"
#include "plugins/mxfp4/quantizer.h"

const std::vector<precis::sdk::Method>& precis::sdk::methods() {
  static const std::vector<Method> list{
      {plugins::on_devices<mxfp4::ExpertsQuantizer>(
           describe("mxfp4", "mxfp4", PRECIS_PLUGIN_VERSION, "safetensors",
                    PRECIS_METHOD_SERIALIZABLE, Products::linear)),
       [](std::string_view library) { return mxfp4::options(library).schema(); },
       [](const precis_config& config) { return mxfp4::read_config(config).normalized.dump(); },
       [](const precis_config& config) -> std::unique_ptr<Quantizer> {
         return std::make_unique<plugins::OnDevices<mxfp4::ExpertsQuantizer>>(
             mxfp4::read_config(config));
       }}};
  return list;
}

PRECIS_PLUGIN()

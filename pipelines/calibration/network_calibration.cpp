#include "pipelines/calibration/network_calibration.h"

#include <set>

#include "models/load_weights.h"
#include "pipelines/loader.h"

namespace precis::pipelines {

Result<CalibrationReport> calibrate_network(NetworkCalibration& calibration,
                                            const std::filesystem::path& source,
                                            ComponentPlan& plan, const EncodedStore& store,
                                            CalibrateOptions options) {
  options.stored_names = models::stored_names;
  return catch_load_errors(source, [&] {
    return calibrate(*calibration.network, *calibration.chain, std::move(calibration.samples), plan,
                     store, options);
  });
}

Result<ImportanceSums> collect_importance(
    NetworkCalibration& calibration, const Component& component, ActivationMemory memory,
    const std::function<void(std::size_t, std::size_t)>& progress,
    const std::atomic<bool>* cancel) {
  std::set<std::string> names;
  for (const auto& tensor : component.tensors) names.insert(tensor.entry->name);
  return catch_load_errors(component.directory, [&]() -> Result<ImportanceSums> {
    PRECIS_ASSIGN(ImportanceSums by_path,
                  sum_squares(*calibration.network, *calibration.chain,
                              std::move(calibration.samples), std::move(memory), progress, cancel));
    ImportanceSums result;
    for (auto& [path, sums] : by_path) {
      for (const std::string& name : models::stored_names(path + ".weight")) {
        if (!names.contains(name)) continue;
        result.emplace(name, std::move(sums));
        break;
      }
    }
    return result;
  });
}

}  // namespace precis::pipelines

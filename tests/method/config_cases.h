// What diffusers and transformers did with thousands of config dicts (tests/oracle/README.md).
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

namespace precis {

// Calls visit for every recorded case.
void for_each_config_case(const std::function<void(const nlohmann::json& test)>& visit);

// Python objects as precis spells them: a torch.dtype is its name. False: JSON has no such value.
bool translate_python_values(nlohmann::json& value);

// The quant_method that a dict is dispatched by; empty: the dispatcher itself refuses it.
std::string quant_method_of(const nlohmann::json& config);

struct ConfigCounts {
  std::size_t passed = 0, failed = 0, not_json = 0, on_purpose = 0;
};

// Reproduces every recorded from_dict of `api` ("from_dict" or "seed-era") whose quant_method
// `chosen` takes: accepted or refused, the kind of error, every normalised value. Read leniently,
// as Python reads. on_purpose says why precis answers a dict otherwise; empty: it does not.
ConfigCounts expect_config_cases_agree(
    const std::string& api, const std::function<bool(const std::string& quant_method)>& chosen,
    const std::function<std::string(const nlohmann::json& config)>& on_purpose);

}  // namespace precis

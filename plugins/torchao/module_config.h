// FqnToConfig of torchao 0.18: a config object for each module.
#pragma once

#include <precis/options.hpp>
#include <string_view>

namespace precis::torchao {

// FqnToConfig, or ModuleFqnToConfig as it was called.
bool has_modules(const sdk::Json& ao_config);

// The config object of a parameter, normalised; null: it stays as it is. As transformers 5.23
// chooses: by the parameter's name, by the module's, by the pattern that matches one of them, else
// "_default". Throws PRECIS_UNSUPPORTED where several patterns match that say different things,
// since Python takes the first in an order that objects of JSON have not; PRECIS_INVALID_ARGUMENT
// for what is no such object.
sdk::Json config_of_parameter(const sdk::Json& ao_config, std::string_view parameter);

}  // namespace precis::torchao

// precis generate: an image from a text.
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cmath>
#include <ctime>
#include <filesystem>
#include <string_view>

#include "cli/networks/commands.h"
#include "cli/plan_options.h"
#include "cli/table.h"
#include "core/base/byte_size.h"
#include "core/base/output_file.h"
#include "core/engine/memory_usage.h"
#include "pipelines/image.h"
#include "pipelines/networks.h"
#include "pipelines/pipeline.h"

namespace precis::cli {
namespace {

using pipelines::Pipeline;

struct GenerateCommand {
  std::string output, dtype = "f32", float_source;
  PlanOptions plan;                // source, config, components, rules, skips, variant
  std::vector<std::string> ready;  // NAME=DIR
  DenoisingOptions denoising;
  pipelines::GenerateOptions generate;
  std::string device = "cpu", max_memory, offload = "none", offload_directory;
  std::vector<std::string> component_devices;  // NAME=DEVICE
  bool fast = false, compare_float = false, fuse_qkv = false;
};

// What one run came to.
struct Run {
  at::Tensor images;
  std::vector<pipelines::ComponentReport> components;
  double load_seconds = 0, generate_seconds = 0;
  double generate_processor_seconds = 0;         // of all threads
  uint64_t load_peak_bytes = 0, peak_bytes = 0;  // growth of anonymous memory
  uint64_t peak_weight_bytes = 0;                // of weights in memory at once, mapped ones too
};

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

constexpr std::array<std::pair<std::string_view, pipelines::Offload>, 3> kOffloads = {
    {{"none", pipelines::Offload::none},
     {"model", pipelines::Offload::model},
     {"sequential", pipelines::Offload::sequential}}};

std::string offload_name(pipelines::Offload offload) {
  for (const auto& [name, value] : kOffloads) {
    if (value == offload) return std::string(name);
  }
  return "";
}

// --component-device: a device map with --device for the rest.
Status set_component_devices(const GenerateCommand& options, pipelines::LoadOptions& load) {
  if (options.component_devices.empty()) return {};
  if (options.offload == "auto") {
    return Error(ErrorCode::invalid_argument,
                 "--component-device: --offload auto chooses where components wait",
                 "leave out one of them");
  }
  load.device_map = {{"", options.device}};
  for (const std::string& text : options.component_devices) {
    PRECIS_ASSIGN(const auto assignment, split_assignment(text, "--component-device"));
    load.device_map[assignment.first] = assignment.second;
  }
  return {};
}

Status set_offload(const GenerateCommand& options, pipelines::LoadOptions& load) {
  load.device = options.device;
  PRECIS_TRY(set_component_devices(options, load));
  load.offload_directory = options.offload_directory;
  const bool waits = options.offload != "none" || !options.component_devices.empty();
  if (!options.offload_directory.empty() && !waits) {
    return Error(ErrorCode::invalid_argument,
                 "--offload-dir: no weights wait on the disk without --offload",
                 "say --offload model, sequential or auto too");
  }
  if (options.offload == "auto") {
    if (options.max_memory.empty()) {
      return Error(ErrorCode::invalid_argument, "--offload auto: there is no limit to keep",
                   "say --max-memory SIZE too");
    }
    load.device_map = "auto";
    return {};
  }
  for (const auto& [name, value] : kOffloads) {
    if (name != options.offload) continue;
    load.offload = value;
    return {};
  }
  return Error(ErrorCode::invalid_argument, fmt::format("--offload {}: unknown", options.offload),
               "one of none, model, sequential, auto");
}

Result<pipelines::LoadOptions> load_options(const GenerateCommand& options, Session& session) {
  pipelines::LoadOptions load;
  PRECIS_ASSIGN(load.dtype, activation_dtype(options.dtype));
  load.variant = options.plan.variant;
  if (!options.max_memory.empty()) {
    PRECIS_ASSIGN(load.max_memory, parse_byte_size(options.max_memory));
  }
  PRECIS_TRY(set_offload(options, load));
  if (options.fast) load.arithmetic = Arithmetic::fast;
  load.fuse_qkv = options.fuse_qkv;
  PRECIS_ASSIGN(const Checkpoint checkpoint,
                open_checkpoint(options.plan.source, {options.plan.variant}));
  PRECIS_ASSIGN(load.methods, options.plan.resolve_options(checkpoint, session));
  pipelines::LoadOptions plain = load;
  plain.methods = {};
  for (const std::string& text : options.ready) {
    PRECIS_ASSIGN(const auto assignment, split_assignment(text, "--load"));
    PRECIS_ASSIGN(auto loaded,
                  pipelines::load_network(assignment.second, plain, session.resolver()));
    load.components[assignment.first] = std::move(loaded.network);
  }
  return load;
}

void show_progress(int64_t step, int64_t steps) {
  fmt::print(stderr, "\rstep {}/{}{}", step, steps, step == steps ? "\n" : "");
}

Result<Run> run(const std::string& source, const GenerateCommand& options,
                const pipelines::LoadOptions& load, Session& session) {
  Run result;
  const PeakMemory memory;
  auto start = std::chrono::steady_clock::now();
  PRECIS_ASSIGN(const auto pipeline, Pipeline::from_pretrained(source, load, session.resolver()));
  result.components = pipeline->components();
  result.peak_weight_bytes = pipeline->peak_weight_bytes();
  result.load_seconds = seconds_since(start);
  result.load_peak_bytes = memory.growth();
  start = std::chrono::steady_clock::now();
  const std::clock_t processor_start = std::clock();
  PRECIS_ASSIGN(result.images, pipeline->generate(options.generate));
  result.generate_seconds = seconds_since(start);
  result.generate_processor_seconds =
      static_cast<double>(std::clock() - processor_start) / CLOCKS_PER_SEC;
  result.peak_bytes = memory.growth();
  return result;
}

std::string component_table(const Run& run) {
  std::vector<std::vector<std::string>> rows{
      {"component", "class", "method", "stored", "in memory", "seconds"}};
  for (const auto& component : run.components) {
    rows.push_back({component.name, component.class_name,
                    component.method.empty() ? "-" : component.method,
                    format_bytes(component.source_bytes), format_bytes(component.loaded_bytes),
                    fmt::format("{:.2f}", component.seconds)});
  }
  return format_table(rows, 3) + "\n";
}

// FILE.png, or FILE-1.png, FILE-2.png … where one run makes several.
std::vector<std::string> output_files(const GenerateCommand& options) {
  if (options.generate.images == 1) return {options.output};
  const std::filesystem::path path(options.output);
  std::vector<std::string> files;
  for (int64_t i = 1; i <= options.generate.images; ++i) {
    const auto name = fmt::format("{}-{}{}", path.stem().string(), i, path.extension().string());
    files.push_back((path.parent_path() / name).string());
  }
  return files;
}

Status write_images(const GenerateCommand& options, const at::Tensor& images) {
  const auto files = output_files(options);
  for (std::size_t i = 0; i < files.size(); ++i) {
    PRECIS_TRY(pipelines::write_png(files[i], images.select(0, static_cast<int64_t>(i))));
  }
  return {};
}

nlohmann::ordered_json to_json(const Run& run, const GenerateCommand& options) {
  nlohmann::ordered_json components = nlohmann::ordered_json::array();
  for (const auto& component : run.components) {
    components.push_back({{"name", component.name},
                          {"class", component.class_name},
                          {"method", component.method},
                          {"ready", component.ready},
                          {"source_bytes", component.source_bytes},
                          {"loaded_bytes", component.loaded_bytes},
                          {"mapped_bytes", component.mapped_bytes},
                          {"device", component.device.str()},
                          {"offload", offload_name(component.offload)},
                          {"seconds", component.seconds}});
  }
  return {{"outputs", output_files(options)},
          {"height", run.images.size(2)},
          {"width", run.images.size(3)},
          {"steps", options.generate.steps},
          {"seed", options.generate.seed},
          {"load_seconds", run.load_seconds},
          {"generate_seconds", run.generate_seconds},
          {"generate_processor_seconds", run.generate_processor_seconds},
          {"load_peak_bytes", run.load_peak_bytes},
          {"peak_bytes", run.peak_bytes},
          {"peak_weight_bytes", run.peak_weight_bytes},
          {"components", components}};
}

// The pipeline of the float run: the one that is named, else the source itself.
std::string float_source(const GenerateCommand& options) {
  return options.float_source.empty() ? options.plan.source : options.float_source;
}

// Error invalid_argument when that pipeline is itself quantized.
Status check_float_source(const GenerateCommand& options, Session& session) {
  PRECIS_ASSIGN(const Checkpoint checkpoint,
                open_checkpoint(float_source(options), {options.plan.variant}));
  for (const Component& component : checkpoint.components) {
    PRECIS_ASSIGN(const auto method, session.resolver().from_component(component));
    if (method == nullptr) continue;
    return Error(ErrorCode::invalid_argument,
                 fmt::format("--compare-float: component '{}' of {} is stored as {}: it has no "
                             "float run",
                             component.name, float_source(options), method->spec()),
                 "name the float pipeline with --float DIR");
  }
  return {};
}

pipelines::LoadOptions float_options(pipelines::LoadOptions load) {
  load.methods = {};
  load.components.clear();
  return load;
}

Status compare_float(const GenerateCommand& options, const pipelines::LoadOptions& load,
                     const Run& quantized, Session& session, nlohmann::ordered_json& report) {
  PRECIS_ASSIGN(const Run reference, run(float_source(options), options, load, session));
  const double psnr = pipelines::psnr(quantized.images, reference.images);
  const double ssim = pipelines::ssim(quantized.images, reference.images);
  // JSON has no infinity: null stands for equal images.
  const auto finite = std::isinf(psnr) ? nlohmann::ordered_json() : nlohmann::ordered_json(psnr);
  report["float"] = {{"psnr_db", finite},
                     {"ssim", ssim},
                     {"load_seconds", reference.load_seconds},
                     {"generate_seconds", reference.generate_seconds},
                     {"load_peak_bytes", reference.load_peak_bytes},
                     {"peak_bytes", reference.peak_bytes}};
  session.show(
      fmt::format("against the float run of the same seed: PSNR {:.2f} dB, SSIM {:.4f}; {:.1f} s\n",
                  psnr, ssim, reference.generate_seconds));
  return {};
}

Result<nlohmann::ordered_json> generate(const GenerateCommand& options, Session& session) {
  // How many images there are is not checked yet: their names may not fit into memory.
  const std::filesystem::path output(options.output);
  PRECIS_TRY(options.generate.images == 1 ? check_file_is_writable(output)
                                          : check_directory_is_writable(output.parent_path()));
  const bool compare = options.compare_float || !options.float_source.empty();
  if (compare) PRECIS_TRY(check_float_source(options, session));
  PRECIS_ASSIGN(const auto load, load_options(options, session));
  // What the second run will meet shows before the first.
  const auto plain = float_options(load);
  if (compare) {
    PRECIS_TRY(Pipeline::check(float_source(options), plain, options.generate, session.resolver()));
  }
  PRECIS_TRY(Pipeline::check(options.plan.source, load, options.generate, session.resolver()));
  PRECIS_ASSIGN(const Run quantized, run(options.plan.source, options, load, session));
  PRECIS_TRY(write_images(options, quantized.images));
  auto report = to_json(quantized, options);
  session.show(fmt::format("{}{}: {} x {}, {} steps in {:.1f} s; peak memory while loading {}\n",
                           component_table(quantized), fmt::join(output_files(options), ", "),
                           quantized.images.size(3), quantized.images.size(2),
                           options.generate.steps, quantized.generate_seconds,
                           format_bytes(quantized.load_peak_bytes)));
  if (compare) PRECIS_TRY(compare_float(options, plain, quantized, session, report));
  return report;
}

}  // namespace

void add_device_option(CLI::App& command, std::string& device) {
  command
      .add_option("--device", device,
                  "that networks run on and weights are quantized on: cpu, cuda or cuda:N")
      ->capture_default_str();
}

Result<at::ScalarType> activation_dtype(const std::string& name) {
  const auto dtype = dtype_from_name(name);
  if (dtype == DType::f32) return at::kFloat;
  if (dtype == DType::bf16) return at::kBFloat16;
  if (dtype == DType::f16) return at::kHalf;
  return Error(ErrorCode::invalid_argument, fmt::format("--dtype {}: unknown", name),
               "one of f32, bf16, f16");
}

void set_denoising(const DenoisingOptions& options, pipelines::GenerateOptions& generate) {
  generate.negative_prompt = options.negative_prompt;
  generate.steps = options.steps;
  generate.seed = options.seed;
  generate.guidance_scale = options.guidance;
  generate.height = options.height;
  generate.width = options.width;
  generate.max_sequence_length = options.max_sequence_length;
}

void add_generate(CLI::App& app, Session& session, int& result) {
  auto* command = app.add_subcommand(
      "generate", "an image from a text, by a pipeline whose components may be quantized");
  auto options = std::make_shared<GenerateCommand>();
  auto& g = options->generate;
  command->add_option("DIR", options->plan.source, "a diffusers pipeline")->required();
  command->add_option("--prompt", g.prompt, "what the image shows")->required();
  command->add_option("-o,--output", options->output, "the image")
      ->type_name("FILE.png")
      ->required();
  command
      ->add_option("--component", options->plan.components,
                   "method of a component while it is loaded, such as transformer=nf4")
      ->type_name("NAME=SPEC");
  command
      ->add_option("--rule", options->plan.rules,
                   "method of the weights a regular expression finds; methods may be mixed freely")
      ->type_name("REGEX=SPEC");
  command->add_option("--skip", options->plan.skips, "weights that stay as they are; repeatable")
      ->type_name("REGEX");
  command
      ->add_option("--load", options->ready,
                   "a component from another directory, as it is stored there; repeatable")
      ->type_name("NAME=DIR");
  command
      ->add_option("--config", options->plan.config,
                   "quantization_config of the pipeline, JSON or TOML")
      ->type_name("FILE|STRING");
  command->add_flag("--no-default-skips", options->plan.no_default_skips,
                    "do not spare the family's sensitive layers");
  command->add_flag("--fuse-qkv", options->fuse_qkv,
                    "queries, keys and values of the transformer as one product; its float weights "
                    "are all in memory while it is loaded");
  command
      ->add_option("--images", g.images,
                   "images of the prompt, made together; several are FILE-1.png, FILE-2.png …")
      ->capture_default_str();
  options->denoising.add_options(*command);
  command->add_option("--dtype", options->dtype, "of everything not quantized: f32, bf16, f16")
      ->capture_default_str();
  add_device_option(*command, options->device);
  command
      ->add_option("--component-device", options->component_devices,
                   "that a component works on instead, or disk, where it waits for --device; "
                   "repeatable")
      ->type_name("NAME=DEVICE");
  command
      ->add_option("--max-memory", options->max_memory,
                   "most that weights may take at once where networks work; checked before "
                   "anything is loaded")
      ->type_name("SIZE");
  command
      ->add_option("--offload", options->offload,
                   "weights wait until their network's turn (model) or their layer's (sequential), "
                   "on the disk, or with --device cuda in the CPU's memory; auto: as --max-memory "
                   "needs it")
      ->type_name("none|model|sequential|auto")
      ->capture_default_str();
  command
      ->add_option("--offload-dir", options->offload_directory,
                   "for weights that are quantized on the way; default: for temporary files")
      ->type_name("DIR");
  command->add_option("--variant", options->plan.variant, "of the weight files, such as fp16");
  command->add_flag("--fast", options->fast,
                    "products may round activations to 8 bits where Python does not (GGUF)");
  command->add_flag("--compare-float", options->compare_float,
                    "run once more without methods and print PSNR and SSIM");
  command->add_option("--float", options->float_source, "compare with this float pipeline instead")
      ->type_name("DIR");
  command->add_flag("--lenient", session.lenient,
                    "where Python goes on silently, warn instead of stopping");
  session.add_options(*command);
  command->callback([options, &session, &result] {
    session.apply();
    if (session.threads > 0u) at::set_num_threads(static_cast<int>(*session.threads));
    set_denoising(options->denoising, options->generate);
    if (!session.quiet && isatty(STDERR_FILENO) != 0) options->generate.progress = show_progress;
    auto report = generate(*options, session);
    if (!report.ok()) {
      result = session.fail(report.error());
      return;
    }
    if (session.json) session.print(*report);
    result = kDone;
  });
}

}  // namespace precis::cli

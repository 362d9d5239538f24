# LibTorch from the PyPI wheel (docs/decisions/0002-libtorch-from-the-wheel.md).
# torch's own CMake package enables the CUDA language and fails with this CMake, so the few libraries are imported here.
#
# Input:  LIBTORCH_ROOT (cache or environment): the wheel's `torch` folder. tools/dev.sh passes it.
# Output: LibTorch::LibTorch. Torch's headers come after the system's (-idirafter): the wheel carries old protobuf headers.
set(_hints ${LIBTORCH_ROOT} $ENV{LIBTORCH_ROOT})
file(GLOB _wheels $ENV{HOME}/.cache/automot-serve/torch-*/lib/python3*/site-packages/torch)
find_path(LIBTORCH_ROOT_DIR NAMES include/ATen/ATen.h HINTS ${_hints} ${_wheels} NO_DEFAULT_PATH)
find_library(LIBTORCH_CPU torch_cpu HINTS ${LIBTORCH_ROOT_DIR}/lib NO_DEFAULT_PATH)
find_library(LIBTORCH_C10 c10 HINTS ${LIBTORCH_ROOT_DIR}/lib NO_DEFAULT_PATH)

include(FindPackageHandleStandardArgs)
find_package_handle_standard_args(LibTorch REQUIRED_VARS LIBTORCH_ROOT_DIR LIBTORCH_CPU LIBTORCH_C10
  REASON_FAILURE_MESSAGE "run `tools/dev.sh setup` or set LIBTORCH_ROOT to a torch 2.11 wheel's torch folder")

if(LibTorch_FOUND AND NOT TARGET LibTorch::LibTorch)
  add_library(LibTorch::LibTorch INTERFACE IMPORTED)
  target_compile_options(LibTorch::LibTorch INTERFACE
    "SHELL:-idirafter ${LIBTORCH_ROOT_DIR}/include"
    "SHELL:-idirafter ${LIBTORCH_ROOT_DIR}/include/torch/csrc/api/include")
  target_link_libraries(LibTorch::LibTorch INTERFACE ${LIBTORCH_CPU} ${LIBTORCH_C10})
  # The CPU library names CUDA 13's runtime and CUPTI; the wheels beside torch carry them where no toolkit does.
  get_filename_component(_site ${LIBTORCH_ROOT_DIR} DIRECTORY)
  target_link_options(LibTorch::LibTorch INTERFACE
    "-Wl,-rpath,${LIBTORCH_ROOT_DIR}/lib" "-Wl,-rpath-link,${LIBTORCH_ROOT_DIR}/lib"
    "-Wl,-rpath-link,${_site}/nvidia/cu13/lib" "-Wl,--allow-shlib-undefined")
  if(AUTOMOT_WITH_CUDA)
    find_library(LIBTORCH_CUDA torch_cuda HINTS ${LIBTORCH_ROOT_DIR}/lib NO_DEFAULT_PATH REQUIRED)
    find_library(LIBTORCH_C10_CUDA c10_cuda HINTS ${LIBTORCH_ROOT_DIR}/lib NO_DEFAULT_PATH REQUIRED)
    find_package(CUDAToolkit REQUIRED)
    target_compile_definitions(LibTorch::LibTorch INTERFACE AUTOMOT_WITH_CUDA=1)
    # Static initialisers of torch_cuda register the device; nothing references a symbol of it.
    target_link_options(LibTorch::LibTorch INTERFACE "-Wl,--no-as-needed,${LIBTORCH_CUDA},${LIBTORCH_C10_CUDA},--as-needed")
    target_link_libraries(LibTorch::LibTorch INTERFACE CUDA::cudart)
  endif()
endif()

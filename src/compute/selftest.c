#include "compute/compute.h"

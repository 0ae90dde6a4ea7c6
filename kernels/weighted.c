/* The inner loop of an aggregation over float32 values. operator/wardround/aggregate/weighted.py calls it.
 *
 * It gives the same bits as numpy: the product is rounded, and then the sum. So `build` does not let the compiler join
 * the two into one operation.
 */
#include <stddef.h>

void add_weighted(double *restrict total, const float *restrict values, double share, size_t size)
{
    for (size_t i = 0; i < size; i++)
        total[i] += share * (double)values[i];
}

# Builds two images. The base images are arguments without a usable default, because a tag can change and you must choose
# a digest that you have checked. docs/one-cluster.md looks up the digests of three suitable public images. The lab makes
# its own base images (lab/images.py).
#
#   docker build --target operator --build-arg OPERATOR_BASE=...@sha256:... --build-arg LAUNCHER_BASE=...@sha256:... .
#   docker build --target trainer  --build-arg TRAINER_BASE=...@sha256:... .
#
# OPERATOR_BASE and TRAINER_BASE need `python3` >= 3.11 with venv; TRAINER_BASE also torch >= 2.4 and numpy >= 2.
# LAUNCHER_BASE needs a shell, `gcc` and a static C library; no file of it is in an image.
# A build without its argument fails with this name, which no registry has (RFC 2606).
ARG OPERATOR_BASE=base.invalid/give-build-arg-operator-base-by-digest
ARG LAUNCHER_BASE=base.invalid/give-build-arg-launcher-base-by-digest
ARG TRAINER_BASE=base.invalid/give-build-arg-trainer-base-by-digest

# The program that starts training code without a network (launcher/launch.c), and the inner loop of an aggregation
# (kernels/weighted.c). They depend on no other source, so a change of other sources does not compile them again.
FROM ${LAUNCHER_BASE} AS compiled
COPY launcher /src/launcher
COPY kernels /src/kernels
RUN /src/launcher/build /launch && /src/kernels/build /kernels.so

# Bytecode is compiled here, because the root file system is read-only at run time and a round lasts only seconds. It is
# unchecked, because sources cannot change. The `python` images of Docker Hub hold no bytecode of Python's own modules:
# each process would compile them, and so take twice as long to start.
FROM ${OPERATOR_BASE} AS operator-python
RUN python3 -B -m compileall -qq --invalidation-mode unchecked-hash -x '/(site|dist)-packages/' \
    "$(python3 -B -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')"

# Removed: pip, headers, tests, and Arrow's clients of remote storage (Flight, S3), which nothing uses. All bytecode is
# compiled again (-f): pip has written some of it, for attrs, which is valid only with the sources' timestamps.
FROM operator-python AS operator-packages
COPY requirements/operator.txt /tmp/requirements.txt
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
    --only-binary :all: --require-hashes -r /tmp/requirements.txt \
 && /opt/venv/bin/python -m pip uninstall --quiet --yes pip \
 && cd /opt/venv/lib/python3*/site-packages \
 && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*flight* pyarrow/*s3* pyarrow/*.pyx pyarrow/*.pxi \
 && find . -type d -name tests -path './numpy/*' -prune -exec rm -rf {} + \
 && find botocore/data -mindepth 1 -maxdepth 1 -type d ! -name s3 -exec rm -rf {} + \
 && /opt/venv/bin/python -m compileall -f -qq --invalidation-mode unchecked-hash /opt/venv/lib

FROM operator-packages AS operator-sources
COPY operator/wardround /opt/app/wardround
RUN /opt/venv/bin/python -m compileall -qq --invalidation-mode unchecked-hash /opt/app

FROM operator-python AS operator
COPY --from=operator-packages /opt/venv /opt/venv
COPY --from=compiled /launch /opt/launcher/launch
COPY --from=compiled /kernels.so /opt/kernels/kernels.so
COPY --from=operator-sources /opt/app /opt/app
ENV PATH=/opt/venv/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    WARDROUND_LAUNCHER=/opt/launcher/launch \
    WARDROUND_KERNELS=/opt/kernels/kernels.so
USER 65532:65532
WORKDIR /
ENTRYPOINT ["python", "-m", "wardround"]


# The base has torch and numpy. This environment uses them, and adds the packages that read data.
FROM ${TRAINER_BASE} AS trainer-packages
COPY requirements/trainer.txt /tmp/requirements.txt
RUN python3 -m venv --system-site-packages /opt/venv \
 && /opt/venv/bin/python -m pip install --quiet --disable-pip-version-check --no-cache-dir --no-compile \
    --only-binary :all: --require-hashes -r /tmp/requirements.txt \
 && /opt/venv/bin/python -m pip uninstall --quiet --yes pip \
 && cd /opt/venv/lib/python3*/site-packages \
 && rm -rf pyarrow/include pyarrow/src pyarrow/tests pyarrow/*flight* pyarrow/*s3* pyarrow/*.pyx pyarrow/*.pxi \
 && /opt/venv/bin/python -m compileall -f -qq --invalidation-mode unchecked-hash /opt/venv/lib

FROM trainer-packages AS trainer-sources
COPY trainer_image/wardround_trainer /opt/app/wardround_trainer
RUN /opt/venv/bin/python -m compileall -qq --invalidation-mode unchecked-hash /opt/app

FROM ${TRAINER_BASE} AS trainer
COPY --from=trainer-packages /opt/venv /opt/venv
COPY --from=trainer-sources /opt/app /opt/app
ENV PATH=/opt/venv/bin:/opt/conda/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONPATH=/opt/app \
    PYTHONSAFEPATH=1 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
USER 65532:65532
WORKDIR /
ENTRYPOINT ["python", "-m", "wardround_trainer"]

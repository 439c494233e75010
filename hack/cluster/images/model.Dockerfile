# A model repository as an image of nothing else: the stock way's counterpart of model.sh.
FROM scratch
COPY . /
